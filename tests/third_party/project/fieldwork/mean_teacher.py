"""Mean teacher (arXiv 1703.01780): the teacher is an average of its student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distillbench import hookimpl
from distillbench.interfaces import (
    Average,
    Learner,
    NetworkSpec,
    Objective,
    Phase,
    TrainingSchedule,
    ViewSpec,
)


class MeanTeacher(TrainingSchedule):
    """The student is taught by an exponential average of itself that sees all frames.

    Knobs:
        decay: of the average, a step.
    """

    def __init__(self, objective: Objective, *, decay: float = 0.9) -> None:
        self.objective, self.decay = objective, decay

    def networks(self) -> Mapping[str, NetworkSpec]:
        """Returns the student and its average."""
        everything = ViewSpec(selector="teacher_selector")
        return {"average": NetworkSpec("student", everything), "student": NetworkSpec("student")}

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns one phase."""
        terms = (*self.objective.against("average"), *self._labels())
        averages = {"average": Average("student", self.decay)}
        return [Phase("student", epochs, {"student": Learner(terms)}, averages)]

    def _labels(self) -> tuple[object, ...]:
        """The labels are needed where the user's objective has no loss on them: an average teaches nothing new."""
        return () if self.objective.labels else self.objective.supervised()


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `follower`."""
    return {"follower": MeanTeacher}
