"""Reads a batch's bytes ahead of their use, while the disk is the bottleneck."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from distillbench.data.memory import libc

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

Ints = NDArray[np.int64]

_AGAIN = 32  # cold batches of a kind after which the slower way is tried again


@dataclass
class _Seen:
    """What was seen of one kind of batches on a cold disk.

    seconds: for each video, the last time, by the way it was read ahead.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    batches: int = 0

    def choose(self, ways: Mapping[str, Ints]) -> str:
        """Returns the faster way; one that was not tried yet, or not for long, comes first."""
        untried = [way for way in ways if way not in self.seconds]
        if untried:
            return untried[0]
        by_time = sorted(ways, key=lambda way: self.seconds[way])
        return by_time[-1 if self.batches % _AGAIN == 0 else 0]


class Prefetcher:
    """Reads a whole batch ahead while reading waits for the disk.

    Touching mapped pages one after the other leaves the disk idle in between and reads far around
    each. Reading ahead (`MADV_WILLNEED`) keeps it busy; what is best read ahead depends on the disk
    and on how many frames are wanted, and is measured while reading.
    """

    def __init__(self, memory: NDArray[np.uint8]) -> None:
        """memory: the mapped files, beginning with a page."""
        self._address = memory.ctypes.data
        self._cold = True
        self._seen: dict[int, _Seen] = {}

    @contextmanager
    def reading(
        self, kind: int, videos: int, ways: Callable[[], Mapping[str, Ints]]
    ) -> Iterator[None]:
        """Surrounds the reading of a batch.

        kind: batches of one kind are alike in how many frames they want of each of their videos.
        ways: what to read ahead, by name, one or more: (n, 2) where in memory a stretch begins and
        ends.
        """
        before = _blocks_read()
        if self._cold:
            seen, offered, began = self._seen.setdefault(kind, _Seen()), ways(), time.perf_counter()
            way = seen.choose(offered)
            self._ask(offered[way])
            yield
            self._cold = _blocks_read() > before
            if self._cold:
                seen.seconds[way] = (time.perf_counter() - began) / videos
                seen.batches += 1
        else:
            yield
            self._cold = _blocks_read() > before

    def _ask(self, stretches: Ints) -> None:
        """Has the pages of these stretches read without waiting."""
        firsts = stretches[:, 0] // mmap.PAGESIZE * mmap.PAGESIZE
        for first, size in zip(firsts.tolist(), (stretches[:, 1] - firsts).tolist(), strict=True):
            libc.will_need(self._address + first, size)


def _blocks_read() -> int:
    """Counts what this thread has read from disks so far, by using it or by reading ahead.

    Where the system counts for whole processes alone, as macOS does, other threads' reads count
    too; where it does not count at all, nothing seems to be read and nothing is read ahead.
    """
    if resource is None:
        return 0
    return resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)).ru_inblock
