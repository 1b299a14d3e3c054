"""Teacher and student at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distillbench import hookimpl
from distillbench.interfaces import HeadSharing, Phase, TrainingSchedule


class Parallel(TrainingSchedule):
    """Teacher and student at once: the teacher on the labels, the student on the objective (paper, section 3).

    The student's losses never move the teacher. With the tied head the objective `rep` needs nothing more: the
    teacher's labels train the head that both use.

    Knobs:
        head: where the student's head comes from; tied is ours, separate the released code's (section 7, row 10).
    """

    def __init__(self, objective: Mapping[str, float], *, head: HeadSharing = "tied") -> None:
        self.objective, self.head = dict(objective), head

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns one phase in which both learn."""
        return [Phase("both", epochs, {"teacher": {"ce": 1.0}, "student": dict(self.objective)}, head=self.head)]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `parallel`."""
    return {"parallel": Parallel}
