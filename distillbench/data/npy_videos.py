"""Videos that are .npy files, one array (T, D) each, of which chosen frames alone are read."""

from __future__ import annotations

import ast
import functools
import os
import stat
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray

from distillbench.data.stored_arrays import (
    SAMPLE,
    UNREADABLE,
    ArrayVideos,
    StoredArray,
    UnusableArrayError,
    require_frames,
)
from distillbench.data.stored_videos import Ints
from distillbench.errors import DataError

_OPENING = 1 << 16  # bytes whose copying takes as long as opening a file
_AT_ONCE = 1 << 30  # bytes; a system may read no more than 2 GiB in one call
_MODE = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def npy_array(path: str | os.PathLike[str]) -> StoredArray:
    """Reads the header of a .npy file; pickled objects are never unpickled.

    Raises `UnusableArrayError`, a `DataError`.
    """
    path = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnusableArrayError(path, "it is no file")
        file = os.open(path, _MODE)
        try:
            size = os.fstat(file).st_size
            return npy_within(
                path, 0, size, lambda count, offset: _read_at(file, count, offset), path
            )
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        raise UnusableArrayError(path, UNREADABLE, why or str(error)) from error


def npy_within(
    path: str, begin: int, size: int, read: Callable[[int, int], bytes], where: str
) -> StoredArray:
    """Reads the header of what is a .npy file within another file.

    begin, size: the bytes of the other file that it is.
    read: returns so many bytes of it from an offset.
    where: names it.

    Raises `UnusableArrayError`.
    """
    first = read(min(size, SAMPLE), begin)
    last = read(min(size, SAMPLE), begin + max(0, size - SAMPLE))
    shape, columns_first, dtype, offset = _header(where, first)
    require_frames(where, shape, dtype)
    if columns_first:
        raise UnusableArrayError(
            where, "its frames are not stored one after the other; save np.ascontiguousarray of it"
        )
    promised = offset + shape[0] * shape[1] * dtype.itemsize
    if size != promised:
        raise UnusableArrayError(
            where,
            "it is not as long as its header says",
            f"{size:,} bytes, and there should be {promised:,}",
        )
    frames, width = shape
    sample = crc32c(last, crc32c(first))
    return StoredArray(path, begin + offset, frames, width, dtype.str, sample)


def _header(where: str, begin: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Returns shape, whether columns come first, type, and where the numbers begin."""
    if begin[:6] == b"\x93NUMPY" and begin[6:7] in (b"\x01", b"\x02", b"\x03"):
        start = 10 if begin[6] == 1 else 12
        end = start + int.from_bytes(begin[8:start], "little")
        found = _parsed(begin[start:end]) if end <= len(begin) else None
        if found is not None:
            return *found, end
    raise UnusableArrayError(where, "it is no .npy file, or its header is damaged")


@functools.lru_cache(maxsize=4096)  # arrays of one length have the same header
def _parsed(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]] | None:
    """Parses the text of a header; None where it is none.

    As numpy does, without its warnings, which are not for threads.
    """
    try:
        about = ast.literal_eval(header.decode())
        shape, columns_first = about["shape"], about["fortran_order"]
        if not isinstance(shape, tuple) or not all(type(length) is int for length in shape):
            return None
        return shape, bool(columns_first), np.lib.format.descr_to_dtype(about["descr"])
    except (ValueError, TypeError, LookupError, AttributeError, SyntaxError):
        return None
    except (MemoryError, RecursionError, OverflowError):  # of brackets and numbers without end
        return None


class NpyVideos(ArrayVideos):
    """Videos that are .npy files, all of one type and width.

    Every file is opened when it is read: one that gets shorter, or goes, is a `DataError`, but
    other numbers in it are not noticed.

    The fingerprint holds each file's length and its first and last 4 KiB. It does not tell files
    apart that differ only in between.
    """

    def _effort(self, videos: int, size: int) -> int:
        return max(size, videos * _OPENING)

    def _read(self, which: Ints, times: Ints, kept: NDArray[np.bool_], out: NDArray[Any]) -> None:
        """Reads each run of frames that lie behind one another in one call.

        One small `pread` that is copied is faster than `preadv` into place.
        """
        offsets = np.array([self._arrays[video].offset for video in which.tolist()])
        slots = np.flatnonzero(kept)
        begins = kept.copy()
        begins[:, 1:] &= ~kept[:, :-1] | (times[:, 1:] != times[:, :-1] + 1)
        firsts = np.flatnonzero(begins.ravel()[slots])
        places, rows = slots[firsts], slots[firsts] // times.shape[1]
        froms = offsets[rows] + times.ravel()[places] * self._frame_bytes
        sizes = np.diff(firsts, append=len(slots)) * self._frame_bytes
        tos = places * self._frame_bytes
        runs = list(zip(tos.tolist(), (tos + sizes).tolist(), froms.tolist(), strict=True))
        memory = memoryview(out.data).cast("B")
        bounds = np.searchsorted(rows, np.arange(len(which) + 1)).tolist()
        for video, (first, end) in zip(which.tolist(), pairwise(bounds), strict=True):
            if first == end:
                continue
            path = self._arrays[video].path
            try:
                file = os.open(path, _MODE)
                try:
                    for begin, stop, at in runs[first:end]:
                        memory[begin:stop] = _read_at(file, stop - begin, at)
                finally:
                    os.close(file)
            except OSError as error:
                raise DataError(f"{path}: cannot be read: {error.strerror}") from error
            except ValueError as error:  # fewer bytes than there is room for
                raise DataError(f"{path}: is shorter than when it was opened") from error


def _read_at(file: int, size: int, offset: int) -> bytes:
    """Reads so many bytes; fewer where the file ends."""
    read = _pread(file, min(size, _AT_ONCE), offset)
    if len(read) == size or not read:
        return read
    return read + _read_at(file, size - len(read), offset + len(read))


def _seek_and_read(file: int, size: int, offset: int) -> bytes:
    """Reads as `os.pread` does, with a file that no other thread reads."""
    os.lseek(file, offset, os.SEEK_SET)
    return os.read(file, size)


_pread = getattr(os, "pread", _seek_and_read)  # Windows has none
