"""One student for many budgets: the number of frames is drawn anew at every step."""

from __future__ import annotations

from collections.abc import Sequence

from distillbench import hookimpl
from distillbench.interfaces import Learner, Objective, Phase, TrainingSchedule, ViewSpec


class AnyK(TrainingSchedule):
    """The teacher first; then the student, which sees a random number of frames at each step.

    Knobs:
        least: frames at least.
        most: frames at most.
    """

    def __init__(self, objective: Objective, *, least: int = 2, most: int = 6) -> None:
        self.objective, self.view = objective, ViewSpec(k=(least, most))

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns two phases."""
        student = Learner(self.objective.against("teacher"), view=self.view)
        return [
            Phase("teacher", epochs, {"teacher": Learner(self.objective.supervised())}),
            Phase("student", epochs, {"student": student}),
        ]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `drawn-k`."""
    return {"drawn-k": AnyK}
