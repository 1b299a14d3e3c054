"""Where the frames of shards are read from: mapped files here, or requests to a server."""

from __future__ import annotations

import mmap
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.data.memory.mapped_files import MappedFiles
from distillbench.data.memory.prefetch import Prefetcher
from distillbench.data.places import Place
from distillbench.data.remote.path import RemotePath
from distillbench.data.remote.remote_files import RemoteFiles
from distillbench.data.tfrecord.batch_parser import Ints
from distillbench.errors import DataError


@dataclass(frozen=True)
class Feature:
    """Where the frames of one feature lie in the row of all files, for V videos, as in `Column`."""

    width: int
    base: Ints
    stride: NDArray[np.int32]
    loose: Ints

    def starts(self, videos: Ints, times: Ints) -> Ints:
        """Returns where frames begin; the shapes of videos and times are broadcast."""
        base, stride = self.base[videos], self.stride[videos]
        starts: Ints = base + stride * times
        if len(self.loose):
            starts = np.where(
                stride == 0, self.loose[np.where(stride == 0, base + times, 0)], starts
            )
        return starts


@dataclass(frozen=True)
class Wanted:
    """The frames of a batch that are to be read.

    which: (B,) videos.
    times: (B, S) frames, `NO_FRAME` where there is none.
    kept: (B, S) whether there is one; there is one in all.
    """

    features: Sequence[Feature]
    which: Ints
    times: Ints
    kept: NDArray[np.bool_]

    def stretches(self) -> Mapping[str, Ints]:
        """Returns what to read ahead, (n, 2) ranges of bytes each.

        `spans`: of each feature of a video, from its first frame that is wanted to its last.
        `frames`: each frame alone, where these are fewer pages.
        """
        which, kept = self.which, self.kept
        some = kept.any(1)
        ends = self._spans(which[some], self._first()[some], self.times.max(1)[some])
        spans = np.concatenate([np.stack([np.minimum(a, b - 1), b], 1) for a, b in ends])
        pages = sum(1 + each.width / mmap.PAGESIZE for each in self.features) * int(kept.sum())
        if pages >= (spans[:, 1] - spans[:, 0]).sum() / mmap.PAGESIZE:
            return {"spans": spans}
        rows, _ = np.nonzero(kept)
        starts = [
            (each.starts(which[rows], self.times[kept]), each.width) for each in self.features
        ]
        return {
            "frames": np.concatenate([np.stack([a, a + width], 1) for a, width in starts]),
            "spans": spans,
        }

    def filled(self) -> Wanted:
        """Puts a frame that is wanted anyway wherever there is none."""
        some = self.kept.any(1)
        rows = np.where(some, np.arange(len(self.which)), int(some.argmax()))
        first = self._first()[rows]
        times = np.where(self.kept, self.times, first[:, None])
        return Wanted(self.features, self.which[rows], times, self.kept)

    def whole_spans(self) -> tuple[Ints, Ints]:
        """Returns the bytes [start, stop) of each video, from the first that is wanted to the last.

        (B,) each, where every row has a frame.
        """
        ends = self._spans(self.which, self.times.min(1), self.times.max(1))
        return (
            np.min([np.minimum(start, stop - 1) for start, stop in ends], axis=0),
            np.max([stop for _, stop in ends], axis=0),
        )

    def _first(self) -> Ints:
        first: Ints = np.where(self.kept, self.times, np.iinfo(np.int64).max).min(1)
        return first

    def _spans(self, which: Ints, first: Ints, last: Ints) -> list[tuple[Ints, Ints]]:
        return [
            (each.starts(which, first), each.starts(which, last) + each.width)
            for each in self.features
        ]


@dataclass(frozen=True)
class Ready:
    """Memory that the frames of a batch can be copied from.

    memory: (n,) uint8.
    which, times: as in `Wanted`, with some frame wherever there is none.
    moved: (B,) what is added to where a frame of a row begins.
    """

    memory: Tensor
    which: Ints
    times: Ints
    moved: Ints


class FrameBytes(ABC):
    """The bytes of some shards, as if these lay behind one another.

    starts: (shards,) where each begins.
    """

    starts: Ints

    @abstractmethod
    def check(self) -> None:
        """Raises `DataError` if a shard was changed since."""

    @abstractmethod
    def reading(self, wanted: Wanted) -> AbstractContextManager[Ready]:
        """Gives the memory that a batch's frames are in, inside the `with` block."""

    def effort(self, size: int, spans: int) -> int:
        """Returns how many bytes take as long to copy as reading a batch.

        size: bytes of its frames.
        spans: bytes of its videos.
        """
        return size


class MappedBytes(FrameBytes):
    """Shards on this machine.

    files: where they are mapped.
    ahead: has them read ahead, while they are on the disk alone.
    """

    def __init__(self, paths: Sequence[Path], sizes: Sequence[int]) -> None:
        self.files = MappedFiles(paths, sizes)
        self.ahead = Prefetcher(self.files.bytes)
        self.starts = self.files.starts

    def check(self) -> None:
        """Raises `DataError` if a shard was changed since; looks at most once a second."""
        self.files.check()

    @contextmanager
    def reading(self, wanted: Wanted) -> Iterator[Ready]:
        """Gives the mapped files, of which the batch is read ahead where that helps."""
        which, times = wanted.which, wanted.times
        unmoved = np.zeros(len(which), np.int64)
        with self.ahead.reading(times.shape[1], len(which), wanted.stretches):
            yield Ready(self.files.memory, which, np.maximum(times, 0), unmoved)


class RequestedBytes(FrameBytes):
    """Shards by URL."""

    def __init__(self, paths: Sequence[RemotePath], sizes: Sequence[int]) -> None:
        self._files = RemoteFiles(paths, sizes)
        self.starts = self._files.starts

    def check(self) -> None:
        """Leaves it to each request, which tells the version of what it reads."""

    def effort(self, size: int, spans: int) -> int:
        """Returns the bytes of the videos, since all between two frames is read."""
        return spans

    @contextmanager
    def reading(self, wanted: Wanted) -> Iterator[Ready]:
        """Gives what was requested, one stretch a video."""
        filled = wanted.filled()
        found, moved = self._files.gathered(*filled.whole_spans())
        yield Ready(torch.from_numpy(found), filled.which, filled.times, moved)


def frame_bytes(paths: Sequence[Place], sizes: Sequence[int]) -> FrameBytes:
    """Opens the bytes of shards; sizes are those of when they were indexed.

    Raises `DataError` where one differs now, and where some are here and some by URL.
    """
    here = [path for path in paths if isinstance(path, Path)]
    away = [path for path in paths if isinstance(path, RemotePath)]
    if here and away:
        raise DataError(
            f"{here[0]} is on this machine and {away[0]} is not; give shards of one kind"
        )
    return RequestedBytes(away, sizes) if away else MappedBytes(here, sizes)
