"""Every n-th slot of the padded video, as the paper's released code chose frames."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, FrameSelector, Keeps


class EveryN(FrameSelector):
    """Slots 0, n, 2n, ... of the padded video, the released code's rule (docs/paper.md, row 4).

    Slots beyond a video's end hold no frame and are dropped: short videos keep fewer than k frames
    even where they have more (with n = 10 a video of 120 frames keeps 12).

    Knobs:
        n: the distance of two slots; 0 for slots // k.
        slots: how many frames the padded video has; frames beyond are never chosen.
    """

    keeps: ClassVar[Keeps] = "at most k"

    def __init__(self, k: int, *, n: int = 0, slots: int = 300) -> None:
        if n < 0 or slots < 1:
            raise ConfigError(
                [f"selector every-n: n={n} must be at least 0 and slots={slots} at least 1"]
            )
        self.n = n or max(1, slots // k)
        self.k = min(k, -(-slots // self.n))

    def select(
        self, lengths: Tensor, scanned: Clips | None, generator: ClipGenerator, training: bool
    ) -> Tensor:
        """Returns frame numbers (B, S)."""
        index = torch.arange(self.k) * self.n
        index = index[index < int(lengths.max())].expand(len(lengths), -1)
        return index.masked_fill(index >= lengths[:, None], NO_FRAME)


@hookimpl
def frame_selectors() -> dict[str, type[FrameSelector]]:
    """Offers `every-n`."""
    return {"every-n": EveryN}
