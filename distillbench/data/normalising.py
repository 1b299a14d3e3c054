"""How stored frames are normalised, and the statistics that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from distillbench.data.batches import clips_at
from distillbench.interfaces import NO_FRAME, Codec, Videos
from distillbench.interfaces.clips import Normalise

_VIDEOS, _FRAMES, _AT_ONCE = 2_000, 20, 100
_LEAST = 1e-3  # a dimension that is the same in all frames stays what it is
_NOISE = 1e-6  # of a mean of floating point: rounding alone makes deviations of about a tenth of it


def normalising(how: Normalise, videos: Videos, train: Tensor) -> Codec:
    """Returns the codec of videos, normalising otherwise.

    train: (V',) int64, the training videos. Statistics are those of at most 2,000 of them, at equal
        distances, and of at most 20 frames of each.
    """
    codec = replace(videos.codec, normalise=how)
    if how == "l2-features":
        return replace(codec, widths=tuple(videos.features.values()))
    if how != "standardise" or not len(train):
        return codec
    frames = _frames_of(videos, _evenly(train, _VIDEOS))
    means, deviations = _of_integers(frames, codec) if _are_integers(videos) else _of_floats(frames)
    return replace(codec, mean=tuple(means.tolist()), deviation=tuple(deviations.tolist()))


def _are_integers(videos: Videos) -> bool:
    first = torch.zeros(1, dtype=torch.int64)
    return not videos.read(first, first[:, None]).is_floating_point()


def _frames_of(videos: Videos, chosen: Tensor) -> Iterator[Tensor]:
    """Yields frames (N, D) of the chosen videos, as they are stored."""
    for which in torch.split(chosen, _AT_ONCE):
        clips = clips_at(videos, which, _even_frames(videos.lengths[which]), _FRAMES)
        yield clips.frames[clips.mask()]


def _of_integers(stored: Iterator[Tensor], codec: Codec) -> tuple[Tensor, Tensor]:
    """Returns mean and deviation of decoded frames, (D,) float64 each.

    Sums of integers are exact, and so the same on every processor.
    """
    count, total, squares = 0, torch.zeros(()).long(), torch.zeros(()).long()
    for frames in map(Tensor.long, stored):
        count += len(frames)
        total = total + frames.sum(0)
        squares = squares + frames.square().sum(0)
    means = total.double() / count
    variances = (squares * count - total.square()).double() / count**2
    deviations = variances.sqrt() * codec.scale
    deviations[deviations < _LEAST] = 1.0
    return means * codec.scale + codec.offset, deviations


def _of_floats(stored: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
    """Returns mean and deviation of frames of floating point, (D,) float64 each.

    Frames are added one after the other, each number on its own, so that no processor adds in
    another order. The first frame is taken away beforehand, which keeps deviations that are small
    beside the mean, and makes that of a constant exactly 0.
    """
    rows = (frame for frames in stored for frame in frames.double().numpy())
    first = next(rows)
    count, total, squares = 1, np.zeros_like(first), np.zeros_like(first)
    for frame in rows:
        distance = frame - first
        count += 1
        total += distance
        squares += distance * distance
    shift = total / count
    means = first + shift
    deviations = np.sqrt(np.maximum(squares / count - shift * shift, 0.0))
    deviations[deviations <= _NOISE * np.abs(means)] = 1.0
    return torch.from_numpy(means), torch.from_numpy(deviations)


def _evenly(numbers: Tensor, most: int) -> Tensor:
    kept = min(most, len(numbers))
    return numbers[torch.arange(kept) * len(numbers) // kept]


def _even_frames(lengths: Tensor) -> Tensor:
    """Returns frames (B, S) at equal distances; all of a video that has no more than S."""
    slots, kept = torch.arange(_FRAMES), lengths.clamp_max(_FRAMES)[:, None]
    frames = slots * lengths[:, None] // kept
    return frames.masked_fill(slots >= kept, NO_FRAME)
