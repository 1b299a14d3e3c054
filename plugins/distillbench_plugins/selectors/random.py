"""Frames at random."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, FrameSelector


class Random(FrameSelector):
    """Frames at random, without replacement, in order (docs/paper.md, row 6).

    Redrawn every epoch in training and the same for a video whenever it is evaluated: so the
    framework's generator is.
    """

    def __init__(self, k: int) -> None:
        self.k = k

    def select(
        self, lengths: Tensor, scanned: Clips | None, generator: ClipGenerator, training: bool
    ) -> Tensor:
        """Returns frame numbers (B, S): those that drew the k smallest numbers."""
        kept = lengths.clamp_max(self.k)[:, None]
        longest = int(lengths.max())
        # One draw a frame: a frame's number then depends on neither k nor the longest video of the
        # batch.
        draws = generator.rand(longest).masked_fill(torch.arange(longest) >= lengths[:, None], 2.0)
        slots = torch.arange(int(kept.max()))
        chosen: Tensor = draws.argsort(dim=1, stable=True)[:, : len(slots)].masked_fill(
            slots >= kept, longest
        )
        return chosen.sort(1).values.masked_fill(slots >= kept, NO_FRAME)


@hookimpl
def frame_selectors() -> dict[str, type[FrameSelector]]:
    """Offers `random`."""
    return {"random": Random}
