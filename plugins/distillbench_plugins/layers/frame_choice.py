"""Ways to choose frames by numbers that frames have; all run on any device, the meta one too."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench.errors import ConfigError
from distillbench.interfaces import NO_FRAME, ClipGenerator

_NO_PLACE = torch.iinfo(torch.int64).max


def every(lengths: Tensor, stride: int) -> Tensor:
    """Numbers every stride-th frame of videos of these lengths: (B, M), padded with `NO_FRAME`."""
    index = torch.arange(0, int(lengths.max()), stride).expand(len(lengths), -1)
    return index.masked_fill(index >= lengths[:, None], NO_FRAME)


def best(scores: Tensor, lengths: Tensor, k: int) -> Tensor:
    """Returns the places (B, S) of the k highest of scores (B, M), the earlier of equal ones.

    lengths: (B,) on the CPU, how many of a row's scores are no padding.
    """
    padded = (torch.arange(scores.shape[1]) >= lengths[:, None]).to(scores.device)
    ranked = scores.masked_fill(padded, -torch.inf).argsort(dim=1, descending=True, stable=True)
    return first_of(ranked, lengths.clamp_max(k))


def first_of(ranked: Tensor, count: Tensor) -> Tensor:
    """Returns the first `count` (B,) places of each row in order of time: (B, S)."""
    places = ranked[:, : int(count.max())]
    unused = (torch.arange(places.shape[1]) >= count[:, None]).to(places.device)
    ordered = places.masked_fill(unused, _NO_PLACE).sort(1).values
    return ordered.masked_fill(ordered == _NO_PLACE, NO_FRAME)


def evenly(lengths: Tensor, k: int) -> Tensor:
    """Returns the places floor(i M / k) of M in each row: (B, S), all of a row of at most k."""
    count = lengths.clamp_max(k)[:, None]
    slots = torch.arange(int(count.max()))
    return (slots * lengths[:, None] // count).masked_fill(slots >= count, NO_FRAME)


def marks(count: Tensor, generator: ClipGenerator, *, jitter: bool) -> Tensor:
    """Returns one number in each of `count` (B,) equal parts of [0, 1): (B, S) float64.

    It is the part's center, or with `jitter` one at random.
    """
    slots = torch.arange(int(count.max()))
    place = generator.rand(len(slots)) if jitter else torch.full((1, 1), 0.5, dtype=torch.float64)
    return (slots + place) / count[:, None]


def along(amounts: Tensor, times: Tensor, at: Tensor, lengths: Tensor, count: Tensor) -> Tensor:
    """Returns the frames (B, S) at which the cumulative share of the amounts reaches the marks.

    Between two numbers the cumulative share grows linearly. Frames that are chosen twice give way
    to the nearest later ones, at a video's end to earlier ones.

    amounts: (B, M) at least 0, what has come by the frame `times` (M,) since the one before.
    at: (B, S) the marks, ascending. lengths: (B,) of the videos. count: (B,) frames to choose.
    """
    grown = amounts.double()
    real = (times < lengths[:, None]).to(grown.device)
    even = (real & (times > 0).to(grown.device)).double()
    grown = torch.where(grown.sum(1, keepdim=True) > 0, grown, even).cumsum(1)
    share = grown / grown[:, -1:].clamp_min(torch.finfo(torch.float64).tiny)
    wanted = at.to(share.device)
    after = torch.searchsorted(share, wanted).clamp(0, share.shape[1] - 1)
    before = (after - 1).clamp_min(0)
    low, high = share.gather(1, before), share.gather(1, after)
    numbers = times.to(share.device).double().expand(len(share), -1)
    first, last = numbers.gather(1, before), numbers.gather(1, after)
    within = ((wanted - low) / (high - low).clamp_min(1e-300)).clamp(0, 1)
    frames = (first + ((last - first) * within).ceil()).long()
    return _distinct(frames, lengths[:, None].to(frames.device), count[:, None].to(frames.device))


def _distinct(frames: Tensor, lengths: Tensor, count: Tensor) -> Tensor:
    """Moves ascending frames (B, S) apart until no two are equal."""
    slots = torch.arange(frames.shape[1], device=frames.device)
    apart = (frames - slots).cummax(1).values.clamp_min(0).minimum(lengths - count)
    return (apart + slots).masked_fill(slots >= count, NO_FRAME)


def with_others(chosen: Tensor, lengths: Tensor, k: int, stride: int) -> Tensor:
    """Adds frames that were not scanned where all scanned ones are chosen and k are wanted.

    chosen: (B, S) numbers of frames, `NO_FRAME` where there is none. Those that follow a scanned
    frame come first.
    """
    numbers = torch.arange(int(lengths.max()))
    ranks = (1.0 / (1 + numbers % stride)).expand(len(lengths), -1)
    ranks = torch.cat([ranks, ranks[:, :1]], 1)  # a place for what is no frame
    ranks = ranks.scatter(1, torch.where(chosen < 0, len(numbers), chosen), 2.0)
    return best(ranks[:, :-1], lengths, k)


def squared_distances(frames: Tensor, others: Tensor) -> Tensor:
    """Returns the squared distances (M, O) of frames (M, D) in float64; of equal ones exactly 0.

    By a matrix product, whose multiply-accumulates are counted.
    """
    both = frames.square().sum(1)[:, None] + others.square().sum(1)
    squares = both - 2 * (frames @ others.T)
    return squares.masked_fill(squares <= 1e-12 * both, 0.0)


def require_stride(selector: str, stride: int) -> None:
    """Raises `ConfigError` unless the distance of two scanned frames is one."""
    if stride < 1:
        raise ConfigError([f"selector {selector}: stride={stride} is not at least 1"])
