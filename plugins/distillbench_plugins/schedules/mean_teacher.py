"""Mean teacher (arXiv 1703.01780)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from distillbench import hookimpl
from distillbench.interfaces import (
    Average,
    Learner,
    NetworkSpec,
    Objective,
    Phase,
    Ramp,
    Term,
    TrainingSchedule,
    ViewSpec,
)
from distillbench_plugins.layers.knobs import not_a_share, outside, refuse
from distillbench_plugins.layers.views import ALL


class MeanTeacher(TrainingSchedule):
    """A student on the labels, taught by a running average of its own weights (arXiv 1703.01780).

    After every step the teacher's weights become decay times themselves plus 1 - decay times the
    student's. The paper gives both another noise; here the teacher sees all frames and the student
    k. The weight of what is matched rises evenly, where the paper's rises as exp(-5 (1 - x)^2).
    Labels and losses are those of the objective on multi-label and single-label data alike.

    Knobs:
        decay: of the average in each step, at least 0 and below 1.
        ramp: the share of the epochs over which the weight of what is matched rises from 0.
        frames: what the teacher sees: all, or own, the student's k.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        decay: float = 0.999,
        ramp: float = 0.0,
        frames: Literal["all", "own"] = "all",
    ) -> None:
        problems = not_a_share("schedule mean-teacher", decay=decay)
        refuse([*problems, *outside("schedule mean-teacher", 0, 1, ramp=ramp)])
        self.objective, self.decay, self.ramp = objective, decay, ramp
        self.view = ALL if frames == "all" else ViewSpec()

    def networks(self) -> Mapping[str, NetworkSpec]:
        """Returns the student and its average."""
        return {"average": NetworkSpec("student", self.view), "student": NetworkSpec("student")}

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns one phase."""
        student = Learner((*self.objective.on_labels(), *self._matching()))
        averages = {"average": Average("student", self.decay)}
        return [Phase("student", epochs, {"student": student}, averages)]

    def _matching(self) -> tuple[Term, ...]:
        return tuple(
            Term(loss, Ramp(0.0, weight, self.ramp) if self.ramp else weight, "average")
            for loss, weight in self.objective.matching.items()
        )


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `mean-teacher`."""
    return {"mean-teacher": MeanTeacher}
