"""Teacher and student at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distillbench import hookimpl
from distillbench.interfaces import HeadSharing, Phase, TrainingSchedule


class Parallel(TrainingSchedule):
    """Teacher and student at once: the teacher on the labels, the student on the objective (docs/paper.md, section 3).

    The gradient of the student's losses never reaches the teacher's encoder. A tied head, the default, belongs to both
    and is moved by both: the student's `ce` and `pred` change the teacher's predictions and, by way of the head, what
    its encoder learns next. Only with another head is the teacher what it would be without a student. With the tied
    head the objective `rep` needs nothing more: the teacher's labels train the head that both use.

    The teacher is in training mode, so its dropout is on: `pred` compares the student with logits of which the head
    dropped a share of the input, drawn anew in every step, where `serial` asks a teacher that stands still. What `rep`
    compares, the encoding before the head, loses nothing to the head's dropout.

    Knobs:
        head: where the student's head comes from; tied is ours, separate the released code's (docs/paper.md,
            row 10).
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
