"""Videos that are arrays (T, D) in files, all of one type and width, however they are stored."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

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

DTYPES = {"|u1": torch.uint8, "<f2": torch.float16, "<f4": torch.float32, "<f8": torch.float64}
"""The types of numbers that frames may have, as numpy writes them."""

SAMPLE = 4096
"""Bytes of each sample of a file that identifies it."""

NOT_FINITE = "it has a number that is not finite"
UNREADABLE = "it cannot be read"


class UnusableArrayError(DataError):
    """Says why something is no array of frames.

    reason: what such arrays have in common.
    detail: what is so of this one.
    """

    def __init__(self, where: str, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{where}: {reason}{detail and f' ({detail})'}")


@dataclass(frozen=True, slots=True)
class StoredArray:
    """What is known of one array without reading its frames.

    path: the file that it is in.
    offset: the byte of it that the first frame begins at, where frames lie one after the other.
    dtype: as numpy writes it: `|u1`, `<f2`, `<f4` or `<f8`.
    sample: checksum of parts of the file, which tells it from others.
    """

    path: str
    offset: int
    frames: int
    width: int
    dtype: str
    sample: int

    @property
    def kind(self) -> str:
        """Names type and width, which all arrays of a data set share."""
        return f"{np.dtype(self.dtype).name} of {self.width}"

    def require_numbers(self) -> None:
        """Reads all frames; raises `UnusableArrayError` for a number that is not finite."""
        count = self.frames * self.width
        try:
            values = np.fromfile(self.path, self.dtype, count, offset=self.offset)
            require_finite(self.path, values.reshape(-1, self.width))
        except (OSError, ValueError) as error:
            raise UnusableArrayError(self.path, UNREADABLE, str(error)) from error


def require_frames(where: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raises `UnusableArrayError` for an array that is not frames of numbers we know."""
    if dtype.hasobject:
        raise UnusableArrayError(where, "it holds pickled objects, which are never unpickled")
    if dtype.str not in DTYPES:
        raise UnusableArrayError(
            where,
            "its numbers are not uint8, float16, float32 or float64 in little-endian order",
            dtype.str,
        )
    if len(shape) != 2 or shape[1] < 1 or shape[0] < 0:
        raise UnusableArrayError(where, "its shape is not (frames, numbers of a frame)", str(shape))
    if not shape[0]:
        raise UnusableArrayError(where, "it has no frame")


def require_finite(where: str, frames: NDArray[Any]) -> None:
    """Raises `UnusableArrayError` for frames (N, D) with a number that is not finite."""
    place = unusable_row(frames)
    if place is not None:
        raise UnusableArrayError(where, NOT_FINITE, f"frame {place}")


class ArrayVideos(StoredVideos):
    """Videos that are arrays in files, all of one type and width.

    Frames keep the type that they are stored in. Files must be left alone while the data set is in
    use.
    """

    def __init__(
        self,
        arrays: Sequence[StoredArray],
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
        self.dtype = DTYPES[first.dtype]
        self._frame_bytes = first.width * self.dtype.itemsize
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

    def _fill(self, which: Ints, times: Ints, out: NDArray[Any]) -> None:
        """Reads the frames of some videos of a batch."""
        kept = times >= 0
        if not kept.all():
            out[~kept] = 0
        if out.size:
            self._read(which, times, kept, out)
            self._require_numbers(which, times, out)

    @abstractmethod
    def _read(self, which: Ints, times: Ints, kept: NDArray[np.bool_], out: NDArray[Any]) -> None:
        """Reads those frames `times` (B, S) of some videos that are `kept`.

        Raises `DataError` for a file that changed.
        """

    def _require_numbers(self, which: Ints, times: Ints, out: NDArray[Any]) -> None:
        place = unusable_row(out.reshape(-1, out.shape[2]))
        if place is not None:
            row, slot = divmod(place, times.shape[1])
            raise DataError(
                f"{self._where(which[row])}: frame {times[row, slot]} has a number that is not"
                " finite; data.check_values=true lists all such videos, and"
                " data.skip_bad_records=true leaves them out"
            )

    def _where(self, video: int) -> str:
        """Names a video's array, for an error."""
        return self._arrays[video].path


def sampled(path: str) -> int:
    """Returns a checksum of the size of a file and of four samples of it; raises `OSError`."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        checksum = crc32c(str(size).encode())
        for part in range(4):
            file.seek(max(0, (size - SAMPLE) * part // 3))
            checksum = crc32c(file.read(SAMPLE), checksum)
    return checksum


def unusable_row(values: NDArray[Any]) -> int | None:
    """Returns the first row of some frames (N, D) with a number that is not finite, if any.

    So are numbers of float64 that float32, which networks are given, cannot hold.
    """
    if values.dtype == np.uint8 or _all_usable(values):
        return None
    return next(row for row in range(len(values)) if not _all_usable(values[row]))


def _all_usable(values: NDArray[Any]) -> bool:
    if values.dtype == np.float16:
        # Five times as fast as np.isfinite: as integers, infinity and what is not a number are the
        # largest of either sign.
        return bool(values.view(np.int16).max() < 0x7C00 and values.view(np.uint16).max() < 0xFC00)
    if values.dtype == np.float64:
        return bool((np.abs(values) <= np.finfo(np.float32).max).all())
    return bool(np.isfinite(values).all())
