"""Frames at equal distances."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, FrameSelector


class Uniform(FrameSelector):
    """Frames at equal distances: floor(i N / k) for i from 0 to k - 1 (docs/paper.md, row 4).

    N is the video's true length.

    Knobs:
        jitter: take one random frame of each of k equal segments in training, and the segment's
            centre in evaluation.
    """

    def __init__(self, k: int, *, jitter: bool = False) -> None:
        self.k, self.jitter = k, jitter

    def select(
        self, lengths: Tensor, scanned: Clips | None, generator: ClipGenerator, training: bool
    ) -> Tensor:
        """Returns frame numbers (B, S).

        A segment is what lies between two neighbors of the plain rule.
        """
        kept = lengths.clamp_max(self.k)[:, None]
        slots = torch.arange(int(kept.max()))
        index = slots * lengths[:, None] // kept
        if self.jitter:
            ends = (slots + 1) * lengths[:, None] // kept
            place = (
                generator.rand(len(slots)) if training else torch.tensor(0.5, dtype=torch.float64)
            )
            index = index + ((ends - index) * place).long()
        return index.masked_fill(slots >= kept, NO_FRAME)


@hookimpl
def frame_selectors() -> dict[str, type[FrameSelector]]:
    """Offers `uniform`."""
    return {"uniform": Uniform}
