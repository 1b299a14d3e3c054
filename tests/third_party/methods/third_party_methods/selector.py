"""Frames where much changes."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, FrameSelector


class Changes(FrameSelector):
    """The frames that differ most from the one looked at before them; every `stride`-th frame is looked at.

    Where fewer frames are looked at than k, those are kept.

    Knobs:
        stride: the distance of two frames that are looked at.
    """

    keeps = "at most k"

    def __init__(self, k: int, *, stride: int = 2) -> None:
        if stride < 1:
            raise ConfigError([f"selector changes: stride={stride} is not at least 1"])
        self.k, self.scan_stride = k, stride

    def select(
        self, lengths: Tensor, scanned: Clips | None, generator: ClipGenerator, training: bool
    ) -> Tensor:
        """Returns frame numbers (B, S)."""
        assert scanned is not None
        change = (scanned.frames[:, 1:] - scanned.frames[:, :-1]).square().sum(2)
        score = torch.cat(
            [torch.full_like(change[:, :1], torch.inf), change], 1
        )  # the first frame is always kept
        score = score.masked_fill(~scanned.mask(), -torch.inf)
        kept = scanned.lengths.clamp_max(self.k)[:, None]
        best = score.argsort(dim=1, descending=True, stable=True)[:, : int(kept.max())]
        unused = torch.arange(best.shape[1]) >= kept
        places = best.masked_fill(unused, score.shape[1]).sort(1).values
        return (places * self.scan_stride).masked_fill(unused, NO_FRAME)


@hookimpl
def frame_selectors() -> dict[str, type[FrameSelector]]:
    """Offers `changes`."""
    return {"changes": Changes}
