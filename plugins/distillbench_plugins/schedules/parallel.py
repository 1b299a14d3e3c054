"""Teacher and student at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from distillbench import hookimpl
from distillbench.interfaces import (
    Copy,
    Follow,
    Freeze,
    Init,
    Learner,
    Objective,
    Phase,
    Teacher,
    Tie,
    TrainingSchedule,
)

_HEADS = {
    "separate": Init(),
    "copy": Init(head=Copy("teacher")),
    "tied": Init(head=Tie("teacher")),
    "frozen": Init(head=Freeze("teacher")),
    "follow": Init(head=Follow("teacher")),
}


class Parallel(TrainingSchedule):
    """Teacher and student at once.

    The teacher on the labels, the student on the objective (docs/paper.md, section 3).

    The gradient of the student's losses never reaches the teacher's encoder. A tied head, the
    default, belongs to both and is moved by both: the student's `ce` and `pred` change the
    teacher's predictions and, by way of the head, what its encoder learns next. A head that follows
    is the same head, moved by the teacher's labels alone. Only with `follow` or a head of the
    student's own is the teacher what it would be without a student. With `tied` and `follow` the
    objective `rep` needs nothing more: the teacher's labels train the head that both use.

    The teacher is in training mode, so its dropout is on: `pred` compares the student with logits
    of which the head dropped a share of the input, drawn in every step, where `serial` uses a
    teacher that is frozen. What `rep` compares, the encoding before the head, loses nothing to the
    head's dropout.

    Knobs:
        head: where the student's head comes from; tied is ours, separate the released code's
            (docs/paper.md, row 10). follow copies the teacher's after every step.
        teacher_dropout: whether the student is compared with what the teacher says with its dropout
            on; without, the teacher runs once more a step.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        head: Literal["separate", "copy", "tied", "frozen", "follow"] = "tied",
        teacher_dropout: bool = True,
    ) -> None:
        self.objective, self.head, self.teacher_dropout = objective, head, teacher_dropout

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns one phase in which both learn."""
        teacher = Learner(self.objective.supervised())
        teacher_of_student = Teacher("teacher", dropout=self.teacher_dropout)
        student = Learner(self.objective.against(teacher_of_student), _HEADS[self.head])
        return [Phase("both", epochs, {"teacher": teacher, "student": student})]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `parallel`."""
    return {"parallel": Parallel}
