"""The first, the middle and the last frames."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, FrameSelector


class FirstMiddleLast(FrameSelector):
    """The first, the middle and the last k // 3 frames (docs/paper.md, row 8).

    A remainder of 1 goes to the middle, of 2 to the first and the last.
    """

    def __init__(self, k: int) -> None:
        third, rest = divmod(k, 3)
        self.k = k
        self.middle = third + (rest == 1)
        self.edge = third + (rest == 2)

    def select(
        self, lengths: Tensor, scanned: Clips | None, generator: ClipGenerator, training: bool
    ) -> Tensor:
        """Returns frame numbers (B, S)."""
        kept = lengths.clamp_max(self.k)[:, None]
        slots = torch.arange(int(kept.max()))
        spare = lengths[:, None] - kept
        middle = ((lengths[:, None] - self.middle) // 2 - self.edge).clamp_min(0)
        skipped = torch.where(
            slots < self.edge, 0, torch.where(slots < self.edge + self.middle, middle, spare)
        )
        return (slots + skipped.minimum(spare)).masked_fill(slots >= kept, NO_FRAME)


@hookimpl
def frame_selectors() -> dict[str, type[FrameSelector]]:
    """Offers `first-middle-last`."""
    return {"first-middle-last": FirstMiddleLast}
