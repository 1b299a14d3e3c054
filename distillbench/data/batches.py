"""Reads batches of the chosen frames ahead, in one thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from distillbench.data.memory.buffer_pool import BufferPool
from distillbench.data.memory.scratch_arrays import room
from distillbench.distributed.processes import SINGLE, Processes, Share
from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, FrameSelector, Videos
from distillbench.mixing import Mixing, Mixup
from distillbench.seeds import clip_keys, derive

_AHEAD = 2  # batches that are read while one is used
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Chosen:
    """The frames of some videos that are to be read.

    videos: (R,) their numbers.
    index: (R, S) the frames' numbers, `NO_FRAME` at a row's end.
    slots: how many frames were requested.
    keys: as in `Clips`.
    """

    videos: Tensor
    index: Tensor
    slots: int
    keys: Tensor | None = None


class Reads(Protocol):
    """What is to be read of a batch for one network."""

    def chosen(self, videos: Videos, which: Tensor, epoch: int, rows: slice | Tensor) -> Chosen:
        """Chooses the frames of some rows of the videos `which` (B,), or of some of them."""
        ...


class Measured(Reads, Protocol):
    """What a network is shown in evaluation, which is counted."""

    @property
    def slots(self) -> int:
        """How many frames of a video the network may keep."""
        ...

    def index(self, videos: Videos, which: Tensor, epoch: int) -> Tensor:
        """Chooses frames of the videos `which` (B,): (B, S) int64, `NO_FRAME` at a row's end."""
        ...

    def frames_read(self, lengths: Tensor, index: Tensor) -> Tensor:
        """Counts the distinct frames that each video costs, (B,)."""
        ...


@dataclass(frozen=True)
class View:
    """What one network sees of a video: a selector, and what its draws depend on.

    slots: how many frames were requested of the selector. In evaluation a clip's draws are fixed,
    in training they are new in every epoch.
    """

    selector: FrameSelector
    slots: int
    seed: int
    training: bool

    def index(self, videos: Videos, which: Tensor, epoch: int) -> Tensor:
        """Chooses frames of the videos `which` (B,): (B, S) int64, `NO_FRAME` at a row's end."""
        lengths = videos.lengths[which]
        purpose = ("train", epoch) if self.training else ("evaluate",)
        generator = ClipGenerator(
            clip_keys([videos.ids[i] for i in which.tolist()], self.seed, "frames", *purpose)
        )
        scanned = None
        if self.selector.scan_stride:
            scan = every(lengths, self.selector.scan_stride)
            scanned = videos.codec.decode(clips_at(videos, which, scan, scan.shape[1]))
        return self.selector.select(lengths, scanned, generator, self.training)

    def chosen(self, videos: Videos, which: Tensor, epoch: int, rows: slice | Tensor) -> Chosen:
        """Chooses the frames of some rows of the videos `which` (B,).

        The index (R, S) is padded as it would be for all of the videos.

        A selector that must see frames first sees those of the rows alone, and pads for them alone.
        """
        own = which[rows]
        if self.selector.scan_stride:
            return Chosen(own, self.index(videos, own, epoch), self.slots)
        return Chosen(own, self.index(videos, which, epoch)[rows], self.slots)

    def frames_read(self, lengths: Tensor, index: Tensor) -> Tensor:
        """Counts the distinct frames each video costs, (B,).

        Those kept and those the selector scanned.
        """
        stride = self.selector.scan_stride
        if not stride:
            return (index >= 0).sum(1)
        return -(-lengths // stride) + ((index >= 0) & (index % stride != 0)).sum(1)


@dataclass(frozen=True)
class Batch:
    """B videos of a split.

    Their numbers, each network's frames in stored form, and their labels (B, C).

    share: the rows of this process; clips are of the rows `share.computed` alone,
    which for one process are all.
    mixing: how the clips of those rows are to be mixed; clips of partners in other rows follow
    them. The labels are mixed already. None where nothing is mixed.
    """

    videos: Tensor
    clips: Mapping[str, Clips]
    labels: Tensor
    share: Share
    mixing: Mixing | None = None


def every(lengths: Tensor, stride: int) -> Tensor:
    """Numbers every `stride`-th frame of videos of these lengths.

    (B, S), `NO_FRAME` beyond a video's end.
    """
    index = torch.arange(0, max(int(lengths.max()), 1), stride).expand(len(lengths), -1)
    return torch.where(index < lengths[:, None], index, NO_FRAME)


def clips_at(videos: Videos, which: Tensor, index: Tensor, slots: int) -> Clips:
    """Reads the frames `index` (B, S) of the videos `which` (B,), and nothing else."""
    return Clips(videos.read(which, index), (index >= 0).sum(1), index, slots)


def shuffled(videos: int, seed: int, *purpose: object) -> Tensor:
    """Orders a whole split: a permutation (videos,) that is a function of a seed and a purpose.

    purpose: what the order is for, such as a phase and its epoch.
    """
    order = torch.from_numpy(room(videos, np.int64))
    generator = torch.Generator().manual_seed(derive(seed, "order", *purpose))
    return torch.randperm(videos, generator=generator, out=order)


def batches(
    videos: Videos,
    order: Tensor,
    size: int,
    views: Mapping[str, Reads],
    *,
    epoch: int = 0,
    skip: int = 0,
    processes: Processes = SINGLE,
    device: torch.device = _CPU,
    mixup: Mixup | None = None,
) -> Iterator[Batch]:
    """Yields batches of `size` videos in the given order, with each network's frames.

    The last batch may be smaller.

    A batch may be kept for as long as it is wanted; the memory of one that is dropped is used for a
    later one.

    skip: batches to leave out at the beginning, for a run that goes on in the middle of an epoch.
    processes: those that share every batch; each reads the frames of its own rows.
    device: where the batches will go; for CUDA they lie in pinned memory, so that moving them waits
    for nothing.
    mixup: draws how the videos of each batch are mixed; None mixes nothing.
    """
    groups = (order[start : start + size] for start in range(skip * size, len(order), size))
    read = _Reader(videos, views, epoch, processes, mixup, pinned=device.type == "cuda")
    with ThreadPoolExecutor(1, thread_name_prefix="distillbench-read") as thread:
        ahead = deque(thread.submit(read, which) for which in islice(groups, _AHEAD))
        for upcoming in groups:
            ahead.append(thread.submit(read, upcoming))
            # Nothing here may go on referring to it, or its memory stays in use.
            yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


class _Reader:
    """Makes the batch of some videos, in memory that earlier batches left."""

    def __init__(
        self,
        videos: Videos,
        views: Mapping[str, Reads],
        epoch: int,
        processes: Processes,
        mixup: Mixup | None,
        *,
        pinned: bool,
    ) -> None:
        self._videos, self._views, self._epoch, self._processes = videos, views, epoch, processes
        self._mixup = mixup
        self._pinned = pinned
        self._memory = {name: BufferPool(pinned) for name in views}
        self._dtype: torch.dtype | None = None

    def __call__(self, which: Tensor) -> Batch:
        share = self._processes.share(len(which))
        rows: slice | Tensor = share.computed
        labels, mixing = self._videos.labels.dense(which), None
        if self._mixup is not None:
            of_batch = self._mixup.drawn(which, self._epoch)
            labels = of_batch.values(labels)
            rows, mixing = of_batch.of(share.computed)
        clips = {name: self._clips(name, view, which, rows) for name, view in self._views.items()}
        return Batch(which, clips, labels.pin_memory() if self._pinned else labels, share, mixing)

    def _clips(self, name: str, view: Reads, which: Tensor, rows_of: slice | Tensor) -> Clips:
        chosen = view.chosen(self._videos, which, self._epoch, rows_of)
        rows, index = chosen.videos, chosen.index
        lengths = (index >= 0).sum(1)
        if not len(rows):
            return Clips(torch.empty(0, 0, self._videos.width), lengths, index, chosen.slots)
        if self._dtype is None:  # only reading tells
            self._dtype = self._videos.read(rows[:1], index[:1, :1]).dtype
        out = self._memory[name].empty((*index.shape, self._videos.width), self._dtype)
        frames = self._videos.read(rows, index, out)
        return Clips(frames, lengths, index, chosen.slots, chosen.keys)
