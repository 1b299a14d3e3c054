"""Rows of scores kept until they are read again.

In memory up to a limit, in an unnamed temporary file beyond it.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from distillbench.errors import ResultError


class ScoreBuffer:
    """Keeps float32 rows of one width, in order, without rounding them."""

    def __init__(self, width: int, memory: int) -> None:
        """width: numbers a row.

        memory: bytes that may be in memory before rows go to the file.
        """
        self._width = width
        self._memory = memory
        self._held: list[NDArray[np.float32]] = []
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        weakref.finalize(self, self._file.close)

    def append(self, rows: NDArray[np.float32]) -> None:
        """Adds rows (B, width). Raises ResultError where the temporary folder is full."""
        if self._memory >= rows.nbytes:
            self._memory -= rows.nbytes
            self._held.append(rows.copy())
            return
        self._memory = 0  # from here on all go to the file, which keeps them in order
        try:
            self._file.seek(0, 2)
            self._file.write(np.ascontiguousarray(rows).data)
        except OSError as error:
            raise ResultError(
                f"the scores of all videos do not fit {tempfile.gettempdir()}: {error.strerror}; "
                "name a larger folder in TMPDIR"
            ) from error

    def blocks(self, rows: int) -> Iterator[NDArray[np.float32]]:
        """Yields the rows in order, at most `rows` at a time; may be called again."""
        for held in self._held:
            for start in range(0, len(held), rows):
                yield held[start : start + rows]
        self._file.seek(0)
        while True:
            block = np.empty((rows, self._width), dtype=np.float32)
            read = self._file.readinto(block.data.cast("B")) // (4 * self._width)
            if not read:
                return
            yield block[:read]
