"""What flows into a network: some frames of some videos, and how stored frames become numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

NO_FRAME = -1
"""Marks, in an index of frames, a slot that holds no frame; such slots end a row."""


@dataclass(frozen=True)
class Clips:
    """Some frames of B videos, padded to the longest.

    frames: (B, T, D), uint8 as stored or floating point once decoded; padded frames are zero.
    lengths: (B,) int64, at least 1, always on the CPU, so that shapes are decided without waiting
    for a device.
    times: (B, T) int64, always on the CPU: each frame's number in its video; `NO_FRAME` where
    padded.
    slots: how many frames were requested of the selector; a video may have fewer.
    keys: (B,) int64 on the CPU, from which a learned selector's chance is drawn for each clip; None
    where there is none.
    """

    frames: Tensor
    lengths: Tensor
    times: Tensor
    slots: int
    keys: Tensor | None = None

    def mask(self) -> Tensor:
        """Tells real frames from padding: (B, T) bool on the frames' device."""
        real = torch.arange(self.frames.shape[1]) < self.lengths[:, None]
        return real.to(self.frames.device, non_blocking=True)

    def take(self, index: Tensor) -> Clips:
        """Keeps the frames at positions `index` (B, S) int64.

        They ascend; `NO_FRAME` fills the end of a row.

        The index may be on the frames' device: lengths and times stay on the CPU all the same.
        """
        index = index.cpu()
        kept = index >= 0
        lengths = kept.sum(1)
        positions = index.clamp_min(0)
        frames = self.frames.gather(
            1, positions.to(self.frames.device)[:, :, None].expand(-1, -1, self.frames.shape[2])
        )
        frames = frames * kept.to(frames.device, frames.dtype)[:, :, None]
        times = self.times.gather(1, positions).masked_fill(~kept, NO_FRAME)
        return Clips(frames, lengths, times, index.shape[1])

    def to(self, device: torch.device) -> Clips:
        """Moves the frames; lengths and times stay on the CPU."""
        return replace(self, frames=self.frames.to(device, non_blocking=True))


@dataclass(frozen=True)
class Codec:
    """How stored uint8 frames become numbers.

    Value = q * scale + offset, then each frame divided by its norm.

    The default is YouTube-8M's: Google's decoder, q * 4 / 255 + 4 / 512 - 2 (biased by 1/128, which
    is kept).
    """

    scale: float = 4.0 / 255.0
    offset: float = 4.0 / 512.0 - 2.0
    normalise: Literal["l2", "none"] = "l2"

    def decode(self, clips: Clips, dtype: torch.dtype = torch.float32) -> Clips:
        """Decodes on whatever device the frames are on; padded frames become zero."""
        frames = clips.frames.to(dtype)
        if not clips.frames.is_floating_point():
            frames = frames * self.scale + self.offset
        if self.normalise == "l2":
            frames = nn.functional.normalize(frames, dim=2, eps=1e-6)
        return replace(clips, frames=frames * clips.mask()[:, :, None].to(dtype))
