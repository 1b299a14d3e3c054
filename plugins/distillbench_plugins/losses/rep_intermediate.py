"""Match of the states after the frames that both networks saw."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import (
    NO_FRAME,
    LossBatch,
    LossContext,
    MatchingLoss,
    Output,
    Requirements,
    States,
)


class IntermediateRepresentation(MatchingLoss):
    """Squared distances of the student's states from the teacher's after the same frames, L_rep^I.

    The paper's, docs/paper.md, section 2 and row 21.

    The student's state at position p >= 1 is compared with the teacher's state after the same frame
    of the video; frames that the teacher did not see are left out. Summed over positions and
    widths, averaged over the batch, in addition to the match of the final encodings.

    Knobs:
        final: also match the final encodings, as `rep` does.
    """

    requirements = Requirements(
        frozenset({"summary", "states", "equal-widths"}),
        claims=frozenset({"batch-mean", "least-at-match"}),
    )

    def __init__(self, context: LossContext, *, final: bool = True) -> None:
        super().__init__(context)
        self.final = final
        theirs = context.teacher.states if context.teacher else {}
        self.layer = next((name for name in context.student.states if name in theirs), "")

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns the mean over the batch, in float32 or better."""
        student, target = output.encoding, teacher.encoding
        ours, theirs, both = _aligned(student.states[self.layer], target.states[self.layer])
        total = ((ours - theirs.to(ours.dtype)).square().sum(2) * both).sum()
        if self.final:
            summary = _wide(student.summary)
            total = total + (summary - target.summary.detach().to(summary.dtype)).square().sum()
        return total / len(student.summary)


def _aligned(student: States, teacher: States) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the student's states from position 1 on, and the teacher's at the same frames.

    Also where both exist.
    """
    ours, times = _wide(student.values[:, 1:]), student.times[:, 1:].contiguous()
    known = teacher.times.masked_fill(teacher.times == NO_FRAME, torch.iinfo(torch.int64).max)
    place = torch.searchsorted(known, times).clamp_max(known.shape[1] - 1)
    both = (known.gather(1, place) == times) & (times != NO_FRAME)
    device = ours.device
    index = place.to(device)[:, :, None].expand(-1, -1, ours.shape[2])
    theirs = teacher.values.detach().gather(1, index)
    return ours, theirs, both.to(device, ours.dtype)


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.dtype.itemsize < 4 else values


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `rep-intermediate`."""
    return {"rep-intermediate": IntermediateRepresentation}
