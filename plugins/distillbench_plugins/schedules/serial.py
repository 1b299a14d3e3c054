"""The teacher first, then the student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import HeadSharing, Phase, Targets, TrainingSchedule

ENCODING_LOSSES = frozenset({"rep", "rep-intermediate"})
"""Losses that teach an encoder and say nothing about a head."""


class Serial(TrainingSchedule):
    """The teacher first, alone; then the student, guided by the frozen teacher (docs/paper.md, section 3).

    An objective of `rep` or `rep-intermediate` alone is followed by a second stage, in which a classifier is plugged in
    and the whole student is fine-tuned on the labels; any other objective takes one stage.

    Knobs:
        head: where the student's head comes from in the one-stage form; separate is the released code's (docs/paper.md,
            row 10).
        finetune_epochs: epochs of the second stage, beside the student's own (docs/paper.md, row 20).
        finetune_head: the classifier plugged in at the second stage: the teacher's, or the student's own
            (docs/paper.md, row 11).
        targets: shuffled and same-frames are controls: the teacher's outcome is for another video, or is what it makes
            of the student's frames alone.
        teacher: untrained is a control: the student is matched with a teacher as it was drawn.
    """

    def __init__(
        self,
        objective: Mapping[str, float],
        *,
        head: HeadSharing = "copy",
        finetune_epochs: int = 3,
        finetune_head: Literal["teacher", "own"] = "teacher",
        targets: Targets = "own",
        teacher: Literal["trained", "untrained"] = "trained",
    ) -> None:
        if finetune_epochs < 0:
            raise ConfigError([f"schedule serial: finetune_epochs={finetune_epochs} is not at least 0"])
        self.objective, self.head = dict(objective), head
        self.finetune_epochs, self.finetune_head = finetune_epochs, finetune_head
        self.targets, self.trains_teacher = targets, teacher == "trained"

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns the teacher's phase, unless it stays untrained, and the student's one or two."""
        teacher = [Phase("teacher", epochs, {"teacher": {"ce": 1.0}}, guides={})] if self.trains_teacher else []
        return teacher + (self._two_stages(epochs) if self.objective.keys() <= ENCODING_LOSSES else self._one(epochs))

    def _one(self, epochs: int) -> list[Phase]:
        return [Phase("student", epochs, {"student": dict(self.objective)}, head=self.head, targets=self.targets)]

    def _two_stages(self, epochs: int) -> list[Phase]:
        match_head, finetune_head = _STAGE_HEADS[self.finetune_head]
        return [
            Phase("match", epochs, {"student": dict(self.objective)}, head=match_head, targets=self.targets),
            Phase("finetune", self.finetune_epochs, {"student": {"ce": 1.0}}, guides={}, head=finetune_head),
        ]


_STAGE_HEADS: dict[str, tuple[HeadSharing, HeadSharing]] = {
    "teacher": ("frozen", "copy"),
    "own": ("separate", "separate"),
}


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `serial`."""
    return {"serial": Serial}
