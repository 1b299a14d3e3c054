"""Any number of files, memory-mapped behind one another, as one array of bytes."""

from __future__ import annotations

import ctypes
import mmap
import os
import time
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.data.memory import libc
from distillbench.errors import DataError

_CHECK_EVERY = 1.0  # seconds


class MappedFiles:
    """Files mapped read-only into one range of addresses.

    One index then reaches every byte of all files.

    No file stays open, however many there are. Nothing is read before it is needed, and the
    memory belongs to the system's page cache.

    bytes: (n,) uint8, the stretch; only what lies within a file may be read.
    memory: the same as a tensor, which must not be written to.
    starts: (files,) where each file begins.
    """

    bytes: NDArray[np.uint8]
    memory: Tensor
    starts: NDArray[np.int64]

    def __init__(self, paths: Sequence[Path], sizes: Sequence[int]) -> None:
        """sizes: of the files when they were indexed.

        Raises `DataError` where a file now differs.
        """
        self._paths, self._sizes = tuple(paths), tuple(sizes)
        pages = [-(-size // mmap.PAGESIZE) * mmap.PAGESIZE for size in sizes]
        self.starts = np.cumsum([0, *pages[:-1]], dtype=np.int64)
        whole = max(sum(pages), mmap.PAGESIZE)
        address = libc.reserve(whole)
        weakref.finalize(self, libc.release, address, whole)
        self._times = [
            self._map_file(path, size, address + int(start))
            for path, size, start in zip(paths, sizes, self.starts, strict=True)
        ]
        self._checked = time.monotonic()
        self.bytes = np.ctypeslib.as_array((ctypes.c_uint8 * whole).from_address(address))
        self.memory = torch.from_numpy(self.bytes)  # before: torch warns of what is read-only
        self.bytes.flags.writeable = False

    def _map_file(self, path: Path, size: int, address: int) -> int:
        try:
            handle = os.open(path, os.O_RDONLY)
            try:
                status = os.fstat(handle)
                if status.st_size != size:
                    raise _changed(path, f"it has {status.st_size} bytes now and had {size}")
                libc.map_file(address, size, handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise DataError(f"{path}: cannot be mapped: {error.strerror or error}") from error
        return status.st_mtime_ns

    def check(self) -> None:
        """Raises `DataError` if a file was changed since; looks at most once a second.

        Reading what a shorter file no longer has would kill the process.
        """
        now = time.monotonic()
        if now - self._checked < _CHECK_EVERY:
            return
        for path, size, written in zip(self._paths, self._sizes, self._times, strict=True):
            try:
                status = os.stat(path)
            except OSError as error:
                raise _changed(path, error.strerror or str(error)) from error
            if (status.st_size, status.st_mtime_ns) != (size, written):
                raise _changed(
                    path, f"it has {status.st_size} bytes now and had {size}, or was written to"
                )
        self._checked = now


def _changed(path: Path, how: str) -> DataError:
    return DataError(
        f"{path}: the file changed after it was opened ({how}); start again with the data left"
        " alone"
    )
