"""Shares the rows of a batch out over a few threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

from distillbench.machine import cores

_MOST_THREADS = 8  # a few are enough to keep the memory, or the disk, busy
_SHARES = 4  # of a thread: when the disk is slow, one share is read while another is copied
_LEAST = 4 << 20  # bytes that are worth a share: handing the GIL over costs too


def in_shares(work: Callable[[slice], None], rows: int, size: int) -> None:
    """Calls `work` with ranges that make up [0, rows), in threads where it is worth it.

    `size`: bytes to be processed.
    """
    threads = min(_MOST_THREADS, cores())
    shares = max(1, min(rows, threads * _SHARES, size // _LEAST))
    if shares == 1:
        work(slice(0, rows))
        return
    bounds = [rows * share // shares for share in range(shares + 1)]
    stretches = [slice(start, stop) for start, stop in pairwise(bounds)]
    for _ in _pool(os.getpid(), threads).map(work, stretches):
        pass


@cache
def _pool(_process: int, threads: int) -> ThreadPoolExecutor:
    """Returns the threads of this process: a forked one has none of its parent's."""
    return ThreadPoolExecutor(threads, thread_name_prefix="distillbench-copy")
