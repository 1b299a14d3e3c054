"""Videos that are .npy files, one array (T, D) each, of which chosen frames alone are read."""

from __future__ import annotations

import ast
import dataclasses
import functools
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import torch
from crc32c import crc32c
from numpy.typing import NDArray

from distillbench.data.ids import Ids
from distillbench.data.stored_videos import Ints, StoredVideos
from distillbench.errors import DataError
from distillbench.interfaces import Codec, Labels

AS_STORED = Codec(scale=1.0, offset=0.0, normalise="none")
"""Numbers are what the arrays hold."""

_DTYPES = {"|u1": torch.uint8, "<f2": torch.float16, "<f4": torch.float32, "<f8": torch.float64}
_BLOCK = 4096  # bytes; a header lies within the first so many
_OPENING = 1 << 16  # bytes whose copying takes as long as opening a file
_AT_ONCE = 1 << 30  # bytes; a system may read no more than 2 GiB in one call
_MODE = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class UnusableArrayError(DataError):
    """Says why a file is no array of frames.

    reason: what such files have in common.
    detail: what is so of this one.
    """

    def __init__(self, path: str, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{path}: {reason}{detail and f' ({detail})'}")


@dataclass(frozen=True, slots=True)
class NpyArray:
    """What is known of one array without reading its frames.

    offset: the byte that its first frame begins at.
    dtype: as numpy writes it: `|u1`, `<f2`, `<f4` or `<f8`.
    sample: checksum of the file's first and last 4 KiB.
    """

    path: str
    offset: int
    frames: int
    width: int
    dtype: str
    sample: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> NpyArray:
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
                first = _read_at(file, _BLOCK, 0)
                last = _read_at(file, _BLOCK, max(0, size - _BLOCK))
            finally:
                os.close(file)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else None
            raise UnusableArrayError(path, "it cannot be read", why or str(error)) from error
        shape, columns_first, dtype, offset = _header(path, first)
        _require_frames(path, shape, columns_first, dtype)
        promised = offset + shape[0] * shape[1] * dtype.itemsize
        if size != promised:
            raise UnusableArrayError(
                path,
                "it is not as long as its header says",
                f"{size:,} bytes, and there should be {promised:,}",
            )
        frames, width = shape
        return cls(path, offset, frames, width, dtype.str, crc32c(last, crc32c(first)))

    @property
    def kind(self) -> str:
        """Names type and width, which all arrays of a data set share."""
        return f"{np.dtype(self.dtype).name} of {self.width}"

    def require_numbers(self) -> None:
        """Reads all frames; raises `UnusableArrayError` for a number that is not finite."""
        count = self.frames * self.width
        try:
            values = np.fromfile(self.path, self.dtype, count, offset=self.offset)
            place = _unusable_row(values.reshape(-1, self.width))
        except (OSError, ValueError) as error:
            raise UnusableArrayError(self.path, "it cannot be read", str(error)) from error
        if place is not None:
            reason = "it has a number that is not finite"
            raise UnusableArrayError(self.path, reason, f"frame {place}")


def _header(path: str, begin: bytes) -> tuple[tuple[int, ...], bool, np.dtype[np.generic], int]:
    """Returns shape, whether columns come first, type, and where the numbers begin."""
    if begin[:6] == b"\x93NUMPY" and begin[6:7] in (b"\x01", b"\x02", b"\x03"):
        start = 10 if begin[6] == 1 else 12
        end = start + int.from_bytes(begin[8:start], "little")
        found = _parsed(begin[start:end]) if end <= len(begin) else None
        if found is not None:
            return *found, end
    raise UnusableArrayError(path, "it is no .npy file, or its header is damaged")


@functools.lru_cache(maxsize=4096)  # arrays of one length have the same header
def _parsed(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]] | None:
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


def _require_frames(
    path: str, shape: tuple[int, ...], columns_first: bool, dtype: np.dtype[np.generic]
) -> None:
    """Raises `UnusableArrayError` for an array that is not frames of numbers we know."""
    if dtype.hasobject:
        raise UnusableArrayError(path, "it holds pickled objects, which are never unpickled")
    if dtype.str not in _DTYPES:
        raise UnusableArrayError(
            path,
            "its numbers are not uint8, float16, float32 or float64 in little-endian order",
            dtype.str,
        )
    if len(shape) != 2 or shape[1] < 1 or shape[0] < 0:
        raise UnusableArrayError(path, "its shape is not (frames, numbers of a frame)", str(shape))
    if not shape[0]:
        raise UnusableArrayError(path, "it has no frame")
    if columns_first:
        raise UnusableArrayError(
            path, "its frames are not stored one after the other; save np.ascontiguousarray of it"
        )


class NpyVideos(StoredVideos):
    """Videos that are .npy files, all of one type and width.

    Frames keep the type that they are stored in. Every file is opened when it is read, and must be
    left alone while the data set is in use: one that gets shorter, or goes, is a `DataError`, but
    other numbers in it are not noticed.

    The fingerprint holds each file's length and its first and last 4 KiB. It does not tell files
    apart that differ only in between.

    skipped: what was left out, by reason.
    """

    def __init__(
        self,
        arrays: Sequence[NpyArray],
        ids: Sequence[str],
        labels: Labels,
        *,
        class_names: Sequence[str] | None = None,
        codec: Codec = AS_STORED,
        skipped: Mapping[str, int] | None = None,
    ) -> None:
        """Raises `DataError` for no array, and for arrays that differ in type or width."""
        if not arrays:
            raise DataError("there is no array to read")
        first = arrays[0]
        for each in arrays:
            if (each.dtype, each.width) != (first.dtype, first.width):
                raise DataError(
                    f"{each.path} is {each.kind} and {first.path} is {first.kind}; all must be"
                    " alike"
                )
        self._arrays = arrays
        self.dtype = _DTYPES[first.dtype]
        self._frame_bytes = first.width * self.dtype.itemsize
        self._offsets = np.array([each.offset for each in arrays], np.int64)
        self.ids = Ids.of(ids)
        self.lengths = torch.tensor([each.frames for each in arrays])
        self.labels = labels
        self.features = {"features": first.width}
        self.class_names = class_names
        self.codec = codec
        self.skipped = skipped or {}
        self.fingerprint = self._digest(ids)

    def _digest(self, ids: Sequence[str]) -> str:
        first, labels = self._arrays[0], self.labels
        about = first.dtype, first.width, labels.count, dataclasses.astuple(self.codec)
        digest = blake2b(repr(about).encode(), digest_size=16)
        for name, each in zip(ids, self._arrays, strict=True):
            digest.update(repr((name, each.frames, each.sample)).encode())
        for part in (labels.offsets, labels.classes):
            digest.update(part.contiguous().numpy().data)
        return digest.hexdigest()

    def _effort(self, videos: int, size: int) -> int:
        return max(size, videos * _OPENING)

    def _fill(self, which: Ints, times: Ints, out: NDArray[np.generic]) -> None:
        """Reads the frames of some videos of a batch."""
        kept = times >= 0
        if not kept.all():
            out[~kept] = 0
        if out.size:
            self._read_runs(which, times, kept, out)
            self._require_numbers(which, times, out)

    def _read_runs(
        self, which: Ints, times: Ints, kept: NDArray[np.bool_], out: NDArray[np.generic]
    ) -> None:
        """Reads each run of frames that lie behind one another in one call.

        One small `pread` that is copied is faster than `preadv` into place.
        """
        slots = np.flatnonzero(kept)
        begins = kept.copy()
        begins[:, 1:] &= ~kept[:, :-1] | (times[:, 1:] != times[:, :-1] + 1)
        firsts = np.flatnonzero(begins.ravel()[slots])
        places, rows = slots[firsts], slots[firsts] // times.shape[1]
        froms = self._offsets[which[rows]] + times.ravel()[places] * self._frame_bytes
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

    def _require_numbers(self, which: Ints, times: Ints, out: NDArray[np.generic]) -> None:
        place = _unusable_row(out.reshape(-1, out.shape[2]))
        if place is not None:
            row, slot = divmod(place, times.shape[1])
            raise DataError(
                f"{self._arrays[which[row]].path}: frame {times[row, slot]} has a number that is"
                " not finite; data.check_values=true lists all such files, and"
                " data.skip_bad_records=true leaves them out"
            )


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


def _unusable_row(values: NDArray[np.generic]) -> int | None:
    """Returns the first row of some frames (N, D) with a number that is not finite, if any.

    So are numbers of float64 that float32, which networks are given, cannot hold.
    """
    if values.dtype == np.uint8 or _all_usable(values):
        return None
    return next(row for row in range(len(values)) if not _all_usable(values[row]))


def _all_usable(values: NDArray[np.generic]) -> bool:
    if values.dtype == np.float16:
        # Five times as fast as np.isfinite: as integers, infinity and what is not a number are the
        # largest of either sign.
        return bool(values.view(np.int16).max() < 0x7C00 and values.view(np.uint16).max() < 0xFC00)
    if values.dtype == np.float64:
        return bool((np.abs(values) <= np.finfo(np.float32).max).all())
    return bool(np.isfinite(values).all())
