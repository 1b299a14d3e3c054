"""The teacher, then the student's encoding, then all of the student."""

from __future__ import annotations

from collections.abc import Sequence

from distillbench import hookimpl
from distillbench.interfaces import Learner, Objective, Phase, TrainingSchedule


class Halves(TrainingSchedule):
    """The teacher; then the student, for half of its epochs on what it is compared by and then on the objective."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns three phases; the student's two share the budget."""
        half = epochs // 2
        whole = self.objective.against("teacher")
        matching = tuple(term for term in whole if term.teacher is not None)
        return [
            Phase("teacher", epochs, {"teacher": Learner(self.objective.supervised())}),
            Phase("bridge", half, {"student": Learner(matching or whole)}),
            Phase("all", epochs - half, {"student": Learner(whole)}),
        ]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `halves`."""
    return {"halves": Halves}
