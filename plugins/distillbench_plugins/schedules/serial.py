"""The teacher first, then the student."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import (
    Copy,
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
}
_STAGE_HEADS = {"teacher": (_HEADS["frozen"], _HEADS["copy"]), "own": (Init(), Init())}


class Serial(TrainingSchedule):
    """The teacher first, alone.

    Then the student, taught by the frozen teacher (docs/paper.md, section 3).

    An objective that trains an encoder and no head, such as `rep` alone, is
    followed by a second stage, in which a classifier is plugged in and the whole student is
    fine-tuned on the labels; any other objective takes one stage.

    Knobs:
        head: where the student's head comes from in the one-stage form; separate is the released
            code's (docs/paper.md, row 10).
        finetune_epochs: epochs of the second stage, beside the student's own (docs/paper.md, row
            20).
        finetune_head: the classifier plugged in at the second stage: the teacher's, or the
            student's own (docs/paper.md, row 11).
        targets: shuffled and same-frames are controls: the teacher's output is for another video,
            or is what it makes of the student's frames alone.
        teacher: untrained is a control: the student is matched with a teacher as it was drawn.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        head: Literal["separate", "copy", "tied", "frozen"] = "copy",
        finetune_epochs: int = 3,
        finetune_head: Literal["teacher", "own"] = "teacher",
        targets: Literal["own", "shuffled", "same-frames"] = "own",
        teacher: Literal["trained", "untrained"] = "trained",
    ) -> None:
        if finetune_epochs < 0:
            raise ConfigError(
                [f"schedule serial: finetune_epochs={finetune_epochs} is not at least 0"]
            )
        self.objective, self.head = objective, head
        self.finetune_epochs, self.finetune_head = finetune_epochs, finetune_head
        self.trains_teacher = teacher == "trained"
        self.teacher = Teacher(
            "teacher",
            view="learner" if targets == "same-frames" else "own",
            videos="shuffled" if targets == "shuffled" else "matched",
            untrained=not self.trains_teacher,
        )

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns the teacher's phase, unless it stays untrained, and the student's one or two."""
        alone = Phase("teacher", epochs, {"teacher": Learner(self.objective.supervised())})
        first = [alone] if self.trains_teacher else []
        return first + (
            self._one(epochs) if self.objective.trains_head else self._two_stages(epochs)
        )

    def _one(self, epochs: int) -> list[Phase]:
        student = Learner(self.objective.against(self.teacher), _HEADS[self.head])
        return [Phase("student", epochs, {"student": student})]

    def _two_stages(self, epochs: int) -> list[Phase]:
        match, finetune = _STAGE_HEADS[self.finetune_head]
        terms = self.objective.against(self.teacher)
        return [
            Phase("match", epochs, {"student": Learner(terms, match)}),
            Phase(
                "finetune",
                self.finetune_epochs,
                {"student": Learner(self.objective.supervised(), finetune)},
            ),
        ]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `serial`."""
    return {"serial": Serial}
