"""Pooling of frames that leaves padding out."""

from __future__ import annotations

from torch import Tensor

from distillbench.interfaces import Clips


def mean_over_frames(values: Tensor, clips: Clips) -> Tensor:
    """Returns the mean of values (B, T, W) over each clip's real frames, (B, W)."""
    real = clips.mask()[:, :, None]
    lengths = clips.lengths.to(values.device)[:, None].to(values.dtype)
    return values.masked_fill(~real, 0.0).sum(1) / lengths


def state_after(values: Tensor, clips: Clips, frames: int) -> Tensor:
    """Returns the values (B, T, W) of the last real frame among the first `frames`, (B, W)."""
    last = (clips.lengths.clamp_max(frames) - 1).to(values.device)
    return values.gather(1, last[:, None, None].expand(-1, 1, values.shape[2]))[:, 0]
