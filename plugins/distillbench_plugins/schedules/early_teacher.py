"""A student of a teacher that stopped early (arXiv 1910.01348)."""

from __future__ import annotations

from collections.abc import Sequence

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import Learner, Objective, Phase, TrainingSchedule


class EarlyTeacher(TrainingSchedule):
    """A teacher that stops after a share of the epochs, then a student of it (arXiv 1910.01348).

    A teacher that is trained to the end may be too far from what a small student can follow. This
    one learns in the order and at the rate of a full training, so that it is the teacher of an
    earlier epoch: the best one so far. It sees all N frames, the student k.
    Labels and losses are those of the objective on multi-label and single-label data alike.

    Knobs:
        share: of the epochs, above 0 and at most 1, rounded to at least one whole epoch.
    """

    def __init__(self, objective: Objective, *, share: float = 0.5) -> None:
        if not 0.0 < share <= 1.0:
            raise ConfigError([f"schedule early-teacher: share={share} is not in (0, 1]"])
        self.objective, self.share = objective, share

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns the teacher's shorter phase and the student's."""
        stopped = min(epochs, max(1, round(self.share * epochs)))
        student = Learner(self.objective.taught_by("teacher"))
        return [
            Phase("teacher", stopped, {"teacher": Learner(self.objective.supervised())}),
            Phase("student", epochs, {"student": student}),
        ]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `early-teacher`."""
    return {"early-teacher": EarlyTeacher}
