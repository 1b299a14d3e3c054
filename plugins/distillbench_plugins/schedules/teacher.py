"""The teacher alone: the skyline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from distillbench import hookimpl
from distillbench.interfaces import Learner, Objective, Phase, TrainingSchedule


class TeacherAlone(TrainingSchedule):
    """The teacher alone, on the labels: the skyline (docs/paper.md, section 5).

    The row is the teacher's; the objective is not used.
    """

    reports: ClassVar[str] = "teacher"

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns one phase, the same as the first of `serial`."""
        return [Phase("teacher", epochs, {"teacher": Learner(self.objective.supervised())})]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `teacher`."""
    return {"teacher": TeacherAlone}
