"""How stored frames are normalised, and the statistics that it takes."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from distillbench.data.batches import clips_at
from distillbench.interfaces import NO_FRAME, Codec, Videos
from distillbench.interfaces.clips import Normalise

_VIDEOS, _FRAMES, _AT_ONCE = 2_000, 20, 100
_LEAST = 1e-3  # a dimension that is the same in all frames stays what it is


def normalising(how: Normalise, videos: Videos, train: Tensor) -> Codec:
    """Returns the codec of videos that store uint8, normalising otherwise.

    train: (V',) int64, the training videos. Statistics are those of at most 2,000 of them, at equal
        distances, and of at most 20 frames of each.
    """
    codec = replace(videos.codec, normalise=how)
    if how == "l2-features":
        return replace(codec, widths=tuple(videos.features.values()))
    if how != "standardise" or not len(train):
        return codec
    # Sums of integers are exact, and so the same on every processor.
    count, total = 0, torch.zeros(videos.width, dtype=torch.int64)
    squares = total.clone()
    for which in torch.split(_evenly(train, _VIDEOS), _AT_ONCE):
        clips = clips_at(videos, which, _even_frames(videos.lengths[which]), _FRAMES)
        frames = clips.frames[clips.mask()].long()
        count += len(frames)
        total += frames.sum(0)
        squares += frames.square().sum(0)
    means = total.double() / count
    variances = (squares * count - total.square()).double() / count**2
    deviations = variances.sqrt() * codec.scale
    deviations[deviations < _LEAST] = 1.0
    means = means * codec.scale + codec.offset
    return replace(codec, mean=tuple(means.tolist()), deviation=tuple(deviations.tolist()))


def _evenly(numbers: Tensor, most: int) -> Tensor:
    kept = min(most, len(numbers))
    return numbers[torch.arange(kept) * len(numbers) // kept]


def _even_frames(lengths: Tensor) -> Tensor:
    """Returns frames (B, S) at equal distances; all of a video that has no more than S."""
    slots, kept = torch.arange(_FRAMES), lengths.clamp_max(_FRAMES)[:, None]
    frames = slots * lengths[:, None] // kept
    return frames.masked_fill(slots >= kept, NO_FRAME)
