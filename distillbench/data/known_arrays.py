"""Keeps what was read of many small files, so that a folder of them opens quickly again."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from distillbench.data.stored_arrays import DTYPES, StoredArray
from distillbench.storage import cache_folder, written_whole

FORMAT = 1
"""Number of the format of what is kept, and of what is let into it."""

WORTH = 1000
"""Files from which on it is worth keeping anything."""

_SETTLED = 2_000_000_000  # nanoseconds; a file may change again within one tick of its clock
_NUMBERS = ("size", "mtime_ns", "offset", "frames", "width", "dtype", "sample", "checked")
_DTYPES = tuple(DTYPES)
_LOG = logging.getLogger(__name__)


class Known(NamedTuple):
    """An array that was read, and the file's size and time then.

    checked: whether all of its numbers were looked at.
    """

    array: StoredArray
    size: int
    mtime_ns: int
    checked: bool


class KnownArrays:
    """The arrays that were read below a folder, by their path below it."""

    def __init__(self, root: Path) -> None:
        """Reads what is kept of a folder; nothing where that is damaged."""
        self._root = root
        digest = blake2b(os.fsencode(root.absolute()), digest_size=12).hexdigest()
        self._place = cache_folder("arrays") / f"{root.name[:80]}.{digest}.safetensors"
        self._known = self._load()

    def find(self, name: str, path: str, check_values: bool) -> Known | None:
        """Returns an array whose file is as it was; None where it is not, or is not known."""
        row = self._known.get(name)
        try:
            if row is None:
                return None
            status = os.stat(path)
        except OSError:  # which reading it tells better
            return None
        size, mtime_ns, offset, frames, width, dtype, sample, checked = row
        if (status.st_size, status.st_mtime_ns) != (size, mtime_ns) or checked < check_values:
            return None
        array = StoredArray(path, offset, frames, width, _DTYPES[dtype], sample)
        return Known(array, size, mtime_ns, bool(checked))

    def keep(self, found: Mapping[str, Known]) -> None:
        """Keeps what was read in place of what is kept, where that is allowed."""
        settled = time.time_ns() - _SETTLED
        if len(found) < WORTH:
            return
        rows = {
            name: (
                each.size,
                each.mtime_ns,
                each.array.offset,
                each.array.frames,
                each.array.width,
                _DTYPES.index(each.array.dtype),
                each.array.sample,
                int(each.checked),
            )
            for name, each in found.items()
            if each.mtime_ns < settled
        }
        if rows == self._known:
            return
        names = "\n".join(rows).encode()
        arrays: dict[str, NDArray[Any]] = {
            "names": np.frombuffer(names, np.uint8),
            "numbers": np.array(list(rows.values()), np.int64).reshape(-1, len(_NUMBERS)),
        }
        about = {"format": FORMAT, "checksum": _checksum(arrays.values())}
        try:
            self._place.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(self._place) as file:
                file.write(save(arrays, {"distillbench": json.dumps(about)}))
        except OSError as error:
            _LOG.info("what was read of %s is not kept at %s: %s", self._root, self._place, error)

    def _load(self) -> dict[str, tuple[int, ...]]:
        try:
            with safe_open(self._place, framework="numpy") as file:
                about = json.loads((file.metadata() or {}).get("distillbench", "{}"))
                arrays = {name: file.get_tensor(name) for name in ("names", "numbers")}
            if about != {"format": FORMAT, "checksum": _checksum(arrays.values())}:
                raise ValueError("checksum")
            names = arrays["names"].tobytes().decode().split("\n")
            return dict(zip(names, map(tuple, arrays["numbers"].tolist()), strict=True))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, SafetensorError) as error:
            _LOG.info("%s is damaged and made again: %s", self._place, error)
            return {}


def _checksum(arrays: Iterable[NDArray[Any]]) -> int:
    checksum = 0
    for array in arrays:
        checksum = crc32c(np.ascontiguousarray(array).view(np.uint8).data, checksum)
    return checksum
