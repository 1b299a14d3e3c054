"""Every frame."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, FrameSelector, Keeps


class All(FrameSelector):
    """Every frame, whatever k is: what a teacher sees."""

    keeps: ClassVar[Keeps] = "all"

    def __init__(self, k: int) -> None:
        self.k = k

    def select(
        self, lengths: Tensor, scanned: Clips | None, generator: ClipGenerator, training: bool
    ) -> Tensor:
        """Returns frame numbers (B, T), T the longest length."""
        slots = torch.arange(int(lengths.max()))
        return slots.expand(len(lengths), -1).masked_fill(slots >= lengths[:, None], NO_FRAME)


@hookimpl
def frame_selectors() -> dict[str, type[FrameSelector]]:
    """Offers `all`."""
    return {"all": All}
