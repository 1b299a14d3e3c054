"""The student alone: the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distillbench import hookimpl
from distillbench.interfaces import Phase, TrainingSchedule


class Scratch(TrainingSchedule):
    """The student alone, from scratch on the labels: the baselines (paper, section 5).

    Always `ce` alone, with the weight that the objective gives it (1 if none): losses that match a teacher are ignored,
    for there is none.
    """

    def __init__(self, objective: Mapping[str, float]) -> None:
        self.weight = objective.get("ce", 1.0)

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns one phase."""
        return [Phase("student", epochs, {"student": {"ce": self.weight}}, guides={})]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `scratch`."""
    return {"scratch": Scratch}
