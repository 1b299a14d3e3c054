"""What flows into a network: some frames of some videos, and how stored frames become numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

Normalise = Literal["l2", "l2-features", "standardise", "none"]

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
        device = self.frames.device
        # The lengths alone are moved: they are few enough for a copy that waits for nothing.
        lengths = self.lengths.to(device, non_blocking=True)
        return torch.arange(self.frames.shape[1], device=device) < lengths[:, None]

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
    """How stored uint8 frames become numbers: value = q * scale + offset, and then normalised.

    The default is YouTube-8M's: Google's decoder, q * 4 / 255 + 4 / 512 - 2 (biased by 1/128, which
    is kept), and each frame divided by its norm.

    normalise: `l2`: by the frame's norm; `l2-features`: each feature of the frame by its own;
        `standardise`: (value - mean) / deviation in every dimension; `none`.
    widths: of the features of a frame, for `l2-features`.
    mean, deviation: (D), for `standardise`.
    """

    scale: float = 4.0 / 255.0
    offset: float = 4.0 / 512.0 - 2.0
    normalise: Normalise = "l2"
    # Not shown: fingerprints of data that has none of them hold the text of a codec.
    widths: tuple[int, ...] = field(default=(), repr=False)
    mean: tuple[float, ...] = field(default=(), repr=False)
    deviation: tuple[float, ...] = field(default=(), repr=False)

    def describe(self) -> dict[str, Any]:
        """Returns its fields by name, as JSON would hold them; without those that are empty."""
        found = {part.name: getattr(self, part.name) for part in fields(self)}
        return {name: value for name, value in found.items() if value != ()}

    def take(self, columns: Tensor) -> Codec:
        """Returns the codec of some columns (D',) of a frame, which ascend."""
        ends = torch.tensor(self.widths).cumsum(0)
        feature = torch.bucketize(columns, ends, right=True)
        counts = torch.bincount(feature, minlength=len(ends)).tolist() if self.widths else []
        at = columns.tolist()
        return replace(
            self,
            widths=tuple(count for count in counts if count),
            mean=tuple(self.mean[column] for column in at) if self.mean else (),
            deviation=tuple(self.deviation[column] for column in at) if self.deviation else (),
        )

    def decode(self, clips: Clips, dtype: torch.dtype = torch.float32) -> Clips:
        """Decodes on whatever device the frames are on; padded frames become zero."""
        frames = clips.frames.to(dtype)
        if not clips.frames.is_floating_point():
            frames = frames * self.scale + self.offset
        if self.normalise == "l2":
            frames = _by_norm(frames)
        elif self.normalise == "l2-features":
            parts = torch.split(frames, list(self.widths), 2)
            frames = torch.cat([_by_norm(part) for part in parts], 2)
        elif self.normalise == "standardise":
            frames = (frames - frames.new_tensor(self.mean)) / frames.new_tensor(self.deviation)
        return replace(clips, frames=frames * clips.mask()[:, :, None].to(dtype))


def _by_norm(frames: Tensor) -> Tensor:
    return nn.functional.normalize(frames, dim=2, eps=1e-6)
