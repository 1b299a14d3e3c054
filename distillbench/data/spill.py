"""Keeps large arrays in a file that has no name, so that their pages are the system's to drop and to fetch again."""

from __future__ import annotations

import logging
import mmap
import tempfile
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from distillbench.data.cache import cache_folder

_LARGE = 4 << 20  # bytes; smaller arrays are not worth a file
_LOG = logging.getLogger(__name__)

Kind = TypeVar("Kind", bound=np.generic)


def spilled(array: NDArray[Kind]) -> NDArray[Kind]:
    """Returns an equal array, in a file of the cache if it is large and the disk has room."""
    if array.nbytes < _LARGE:
        return array
    folder = cache_folder("spilled")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(np.ascontiguousarray(array).data)
            file.flush()
            mapped = mmap.mmap(file.fileno(), array.nbytes)
    except OSError as error:
        _LOG.info("an array of %d bytes stays in memory: %s", array.nbytes, error)
        return array
    view: NDArray[Any] = np.frombuffer(mapped, array.dtype).reshape(array.shape)
    return view
