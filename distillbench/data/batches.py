"""Batches of the frames that were chosen, read ahead in one thread while the last batch is being used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, FrameSelector, Videos
from distillbench.processes import SOLO, Processes, Share
from distillbench.seeds import clip_keys, derive


class Reads(Protocol):
    """What reads one network's frames of the videos of a batch."""

    def clips(self, videos: Videos, which: Tensor, epoch: int, share: Share) -> Clips:
        """Reads frames, in stored form, of a share of the videos `which` (B,) or of some of them."""
        ...


@dataclass(frozen=True)
class View:
    """What one network sees of a video: a selector, and what its draws depend on.

    slots: how many frames the selector was asked for. In evaluation a clip's draws are fixed, in training they are new
    in every epoch.
    """

    selector: FrameSelector
    slots: int
    seed: int
    training: bool

    def index(self, videos: Videos, which: Tensor, epoch: int) -> Tensor:
        """Chooses frames of the videos `which` (B,): (B, S) int64, `NO_FRAME` at a row's end."""
        lengths = videos.lengths[which]
        purpose = ("train", epoch) if self.training else ("evaluate",)
        generator = ClipGenerator(clip_keys([videos.ids[i] for i in which.tolist()], self.seed, "frames", *purpose))
        scanned = None
        if self.selector.scan_stride:
            scan = every(lengths, self.selector.scan_stride)
            scanned = videos.codec.decode(clips_at(videos, which, scan, scan.shape[1]))
        return self.selector.select(lengths, scanned, generator, self.training)

    def rows(self, videos: Videos, which: Tensor, epoch: int, share: Share) -> Tensor:
        """Chooses frames for a share of the videos `which` (B,), padded as for all of them: (rows, S) as `index` does.

        A selector that must see frames first sees those of the share alone, and pads for it alone.
        """
        if self.selector.scan_stride:
            return self.index(videos, which[share.computed], epoch)
        return self.index(videos, which, epoch)[share.computed]

    def clips(self, videos: Videos, which: Tensor, epoch: int, share: Share) -> Clips:
        """Reads the chosen frames of a share of the videos `which` (B,), in stored form."""
        return clips_at(videos, which[share.computed], self.rows(videos, which, epoch, share), self.slots)

    def frames_read(self, lengths: Tensor, index: Tensor) -> Tensor:
        """Counts the distinct frames each video costs, (B,): those kept and those the selector scanned."""
        stride = self.selector.scan_stride
        if not stride:
            return (index >= 0).sum(1)
        return -(-lengths // stride) + ((index >= 0) & (index % stride != 0)).sum(1)


@dataclass(frozen=True)
class Batch:
    """B videos of a split: their numbers, what each network sees of them (stored form), and their labels (B, C).

    share: the rows that this process answers for; clips are of the rows `share.computed` alone, which for one process
    are all.
    """

    videos: Tensor
    clips: Mapping[str, Clips]
    labels: Tensor
    share: Share


def every(lengths: Tensor, stride: int) -> Tensor:
    """Numbers every `stride`-th frame of videos of these lengths: (B, S), `NO_FRAME` beyond a video's end."""
    index = torch.arange(0, max(int(lengths.max()), 1), stride).expand(len(lengths), -1)
    return torch.where(index < lengths[:, None], index, NO_FRAME)


def clips_at(videos: Videos, which: Tensor, index: Tensor, slots: int) -> Clips:
    """Reads the frames `index` (B, S) of the videos `which` (B,), and nothing else."""
    return Clips(videos.read(which, index), (index >= 0).sum(1), index, slots)


def shuffled(videos: int, seed: int, epoch: int) -> Tensor:
    """Orders a whole split for one epoch: a permutation that can be made again."""
    return torch.randperm(videos, generator=torch.Generator().manual_seed(derive(seed, "order", epoch)))


def batches(
    videos: Videos,
    order: Tensor,
    size: int,
    views: Mapping[str, Reads],
    *,
    epoch: int = 0,
    skip: int = 0,
    processes: Processes = SOLO,
) -> Iterator[Batch]:
    """Yields batches of `size` videos in the given order, the last one smaller, each network's frames beside each other.

    skip: batches to leave out at the beginning, for a run that goes on in the middle of an epoch.
    processes: those that share every batch; each reads the frames of its own rows.
    """
    groups = torch.split(order, size)[skip:] if len(order) else ()

    def read(which: Tensor) -> Batch:
        share = processes.share(len(which))
        clips = {name: view.clips(videos, which, epoch, share) for name, view in views.items()}
        return Batch(which, clips, videos.labels.dense(which), share)

    with ThreadPoolExecutor(1, thread_name_prefix="distillbench-read") as reader:
        ahead = [reader.submit(read, which) for which in groups[:2]]
        for upcoming in (*groups[2:], None, None):
            if not ahead:
                return
            batch = ahead.pop(0).result()
            if upcoming is not None:
                ahead.append(reader.submit(read, upcoming))
            yield batch
