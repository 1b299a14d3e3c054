"""The student alone: the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import Phase, TrainingSchedule


class Scratch(TrainingSchedule):
    """The student alone, from scratch on the labels: the baselines (docs/paper.md, section 5).

    Always `ce` alone, with the weight that the objective gives it (1 if none): losses that match a teacher are ignored,
    for there is none.

    Knobs:
        epochs_factor: train so many times as long: 2 is a control that has as many epochs as a teacher and its student
            together.
    """

    def __init__(self, objective: Mapping[str, float], *, epochs_factor: int = 1) -> None:
        if epochs_factor < 1:
            raise ConfigError([f"schedule scratch: epochs_factor={epochs_factor} is not at least 1"])
        self.weight, self.epochs_factor = objective.get("ce", 1.0), epochs_factor

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns one phase."""
        return [Phase("student", epochs * self.epochs_factor, {"student": {"ce": self.weight}}, guides={})]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `scratch`."""
    return {"scratch": Scratch}
