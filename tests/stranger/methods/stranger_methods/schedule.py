"""The teacher, then the student's encoding, then all of the student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distillbench import hookimpl
from distillbench.interfaces import Phase, TrainingSchedule


class Halves(TrainingSchedule):
    """The teacher; then the student, for half of its epochs on the bridge alone and then on the objective."""

    def __init__(self, objective: Mapping[str, float]) -> None:
        self.objective = dict(objective)

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns three phases; the student's two share the budget."""
        half = epochs // 2
        return [
            Phase("teacher", epochs, {"teacher": {"ce": 1.0}}, guides={}),
            Phase("bridge", half, {"student": {"bridge": 1.0}}),
            Phase("all", epochs - half, {"student": self.objective}),
        ]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `halves`."""
    return {"halves": Halves}
