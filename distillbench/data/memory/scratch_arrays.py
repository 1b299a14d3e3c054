"""Keeps large arrays in files without a name.

The system can then write their pages out and fetch them again when memory is short.
"""

from __future__ import annotations

import logging
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from distillbench.storage import cache_folder

_LARGE = 1 << 20  # bytes; smaller arrays are not worth a file
_STEP = 1 << 16  # items; what is worked out for this many at a time stays small
_LOG = logging.getLogger(__name__)

Kind = TypeVar("Kind", bound=np.generic)


def room(count: int, dtype: np.dtype[Kind] | type[Kind]) -> NDArray[Kind]:
    """Returns an array to be filled, (count,).

    It lies in a file of the cache if it is large and the disk has room.
    """
    size = count * np.dtype(dtype).itemsize
    if size < _LARGE:
        return np.empty(count, dtype)
    folder = cache_folder("spilled")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            _reserve(file, size)
            mapped = mmap.mmap(file.fileno(), size)
    except OSError as error:
        _LOG.info("an array of %d bytes stays in memory: %s", size, error)
        return np.empty(count, dtype)
    view: NDArray[Any] = np.frombuffer(mapped, dtype)
    return view


def _reserve(file: BinaryIO, size: int) -> None:
    """Reserves disk space for an empty file.

    A full disk then raises an error now; a write to a mapped page would end the process later.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for start in range(0, size, _LARGE):  # macOS and Windows have no such call
        file.write(bytes(min(_LARGE, size - start)))
    file.flush()


def joined(
    count: int, dtype: np.dtype[Kind] | type[Kind], pieces: Iterable[NDArray[Any]]
) -> NDArray[Kind]:
    """Returns pieces behind one another, (count,) in all, in a file if that is large.

    One piece at a time is in memory.
    """
    whole, at = room(count, dtype), 0
    for piece in pieces:
        whole[at : at + len(piece)] = piece
        at += len(piece)
    return whole


def steps(count: int) -> Iterator[slice]:
    """Cuts [0, count) into stretches that can be worked on in little memory."""
    return (slice(start, min(start + _STEP, count)) for start in range(0, count, _STEP))


def taken(array: NDArray[Kind], places: NDArray[np.int64]) -> NDArray[Kind]:
    """Returns `array[places]`, in a file if that is large."""
    return joined(len(places), array.dtype, (array[places[step]] for step in steps(len(places))))


def running_sums(sizes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yields, in pieces, the sum of all that is before each place and, at the end, of all.

    One more than there are.
    """
    total = np.zeros(1, np.int64)
    yield total
    for step in steps(len(sizes)):
        sums = np.cumsum(sizes[step]) + total
        yield sums
        total = sums[-1:]
