"""Videos that are arrays (T, D) within a few large files, which are mapped into memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from distillbench.data.memory.gathering import gather
from distillbench.data.memory.mapped_files import MappedFiles
from distillbench.data.stored_arrays import ArrayVideos
from distillbench.data.stored_videos import Ints
from distillbench.errors import DataError
from distillbench.interfaces import NO_FRAME

_RUN = 64
"""Frames; from here on copying a run of frames at once beats gathering them one by one."""


class MappedVideos(ArrayVideos):
    """Videos that lie frame after frame within large files, wherever in them.

    Frames are gathered out of the mapped files. A file must be left alone while it is open: reading
    looks once a second and raises `DataError`, but one that is cut short in between kills the
    process.
    """

    _mapped: MappedFiles | None = None

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Gathers frames as stored, (B, S, D), zero where there is none.

        `DataError` if a file changed.
        """
        self._files().check()
        return super().read(videos, frames, out)

    def _files(self) -> MappedFiles:
        """Maps all files, when the first frame is read."""
        if self._mapped is None:
            paths = sorted({each.path for each in self._arrays})
            try:
                sizes = [os.path.getsize(path) for path in paths]
            except OSError as error:
                raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error
            mapped = MappedFiles([Path(path) for path in paths], sizes)
            starts = dict(zip(paths, mapped.starts.tolist(), strict=True))
            ends = {path: starts[path] + size for path, size in zip(paths, sizes, strict=True)}
            self._starts = np.array([starts[each.path] + each.offset for each in self._arrays])
            stops = self._starts + self.lengths.numpy() * self._frame_bytes
            if (stops > np.array([ends[each.path] for each in self._arrays])).any():
                raise DataError("a file is shorter than when it was opened")
            self._mapped = mapped
        return self._mapped

    def _read(self, which: Ints, times: Ints, kept: NDArray[np.bool_], out: NDArray[Any]) -> None:
        counts = kept.sum(1)
        if times.shape[1] >= _RUN and _are_runs(times, counts):
            self._copy_runs(which, times[:, 0], counts, out)
        else:
            self._gather(which, times, kept, out)

    def _copy_runs(self, which: Ints, firsts: Ints, counts: Ints, out: NDArray[Any]) -> None:
        """Copies the run of frames of each video at once."""
        memory = self._files().bytes
        starts = self._starts[which] + firsts * self._frame_bytes
        into = out.view(np.uint8).reshape(len(which), -1)
        sizes = (counts * self._frame_bytes).tolist()
        for row, (start, size) in enumerate(zip(starts.tolist(), sizes, strict=True)):
            into[row, :size] = memory[start : start + size]

    def _gather(self, which: Ints, times: Ints, kept: NDArray[np.bool_], out: NDArray[Any]) -> None:
        """Copies frames one by one."""
        rows, slots = np.nonzero(kept)
        starts = self._starts[which[rows]] + times[rows, slots] * self._frame_bytes
        memory = self._files().memory
        into = out.view(np.uint8).reshape(times.size, -1)
        places = rows * times.shape[1] + slots
        if len(places) == times.size:
            gather(memory, starts, into)
        else:
            found = np.empty((len(places), into.shape[1]), np.uint8)
            gather(memory, starts, found)
            into[places] = found


def _are_runs(times: Ints, counts: Ints) -> bool:
    """Tells whether each row is consecutive frames, `counts` of them, and then nothing."""
    places = np.arange(times.shape[1])
    return bool(
        (times == np.where(places < counts[:, None], times[:, :1] + places, NO_FRAME)).all()
    )
