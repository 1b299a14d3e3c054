"""The last frames."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, FrameSelector


class Last(FrameSelector):
    """The last k frames of the video's true length."""

    def __init__(self, k: int) -> None:
        self.k = k

    def select(
        self, lengths: Tensor, scanned: Clips | None, generator: ClipGenerator, training: bool
    ) -> Tensor:
        """Returns frame numbers (B, S)."""
        kept = lengths.clamp_max(self.k)[:, None]
        slots = torch.arange(int(kept.max()))
        return (lengths[:, None] - kept + slots).masked_fill(slots >= kept, NO_FRAME)


@hookimpl
def frame_selectors() -> dict[str, type[FrameSelector]]:
    """Offers `last`."""
    return {"last": Last}
