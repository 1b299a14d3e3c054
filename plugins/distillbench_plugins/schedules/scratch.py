"""The student alone: the baselines."""

from __future__ import annotations

from collections.abc import Sequence

from distillbench import hookimpl
from distillbench.interfaces import Learner, Objective, Phase, TrainingSchedule
from distillbench_plugins.layers.knobs import refuse, wrong_counts


class Scratch(TrainingSchedule):
    """The student alone, from scratch on the labels: the baselines (docs/paper.md, section 5).

    It minimizes the losses on the labels that the objective names, with their weights, or the
    data's usual one where it names none. Losses that match a teacher are ignored, for there is
    none.

    Knobs:
        epochs_factor: train so many times as long: 2 is a control that has as many epochs as a
            teacher and its student together.
    """

    def __init__(self, objective: Objective, *, epochs_factor: int = 1) -> None:
        refuse(wrong_counts("schedule scratch", epochs_factor=(epochs_factor, 1, 1000)))
        self.objective, self.epochs_factor = objective, epochs_factor

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns one phase."""
        student = Learner(self.objective.on_labels())
        return [Phase("student", epochs * self.epochs_factor, {"student": student})]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `scratch`."""
    return {"scratch": Scratch}
