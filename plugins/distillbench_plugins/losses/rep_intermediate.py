"""Match of the states after the frames that both networks saw."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import NO_FRAME, Encoding, MatchingLoss, Outcome, Passport, Shapes


class IntermediateRepresentation(MatchingLoss):
    """Squared distances of the student's states from the teacher's after the same frames, L_rep^I.

    The paper's, docs/paper.md, section 2 and row 21.

    The student's state at position p >= 1 is compared with the teacher's state after the same frame of the video;
    frames that the teacher did not see are left out. Summed over positions and widths, averaged over the batch, in
    addition to the match of the final encodings.

    Knobs:
        final: also match the final encodings, as `rep` does.
    """

    passport = Passport(
        frozenset({"teacher", "summary", "states", "equal-widths"}), claims=frozenset({"batch-mean", "least-at-match"})
    )

    def __init__(self, student: Shapes, teacher: Shapes, *, final: bool = True) -> None:
        super().__init__()
        self.final = final

    def forward(self, student: Outcome, teacher: Outcome | None, labels: Tensor) -> Tensor:
        """Returns the mean over the batch, in float32 or better."""
        assert teacher is not None
        ours, theirs, both = _aligned(student.encoding, teacher.encoding)
        total = ((ours - theirs.to(ours.dtype)).square().sum(2) * both).sum()
        if self.final:
            summary = _wide(student.encoding.summary)
            total = total + (summary - teacher.encoding.summary.detach().to(summary.dtype)).square().sum()
        return total / len(student.encoding.summary)


def _aligned(student: Encoding, teacher: Encoding) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the student's states from position 1 on, the teacher's after the same frames, and where both exist."""
    assert student.states is not None
    assert student.times is not None
    assert teacher.states is not None
    assert teacher.times is not None
    ours, times = _wide(student.states[:, 1:]), student.times[:, 1:].contiguous()
    known = teacher.times.masked_fill(teacher.times == NO_FRAME, torch.iinfo(torch.int64).max)
    place = torch.searchsorted(known, times).clamp_max(known.shape[1] - 1)
    both = (known.gather(1, place) == times) & (times != NO_FRAME)
    device = ours.device
    theirs = teacher.states.detach().gather(1, place.to(device)[:, :, None].expand(-1, -1, ours.shape[2]))
    return ours, theirs, both.to(device, ours.dtype)


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.dtype.itemsize < 4 else values


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `rep-intermediate`."""
    return {"rep-intermediate": IntermediateRepresentation}
