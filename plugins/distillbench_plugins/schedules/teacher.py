"""The teacher alone: the skyline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from distillbench import hookimpl
from distillbench.interfaces import Phase, TrainingSchedule


class Teacher(TrainingSchedule):
    """The teacher alone, on the labels: the skyline (docs/paper.md, section 5).

    The row is the teacher's; the objective is not used.
    """

    trains_student: ClassVar[bool] = False

    def __init__(self, objective: Mapping[str, float]) -> None:
        pass

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns one phase, the same as the first of `serial`."""
        return [Phase("teacher", epochs, {"teacher": {"ce": 1.0}}, guides={})]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `teacher`."""
    return {"teacher": Teacher}
