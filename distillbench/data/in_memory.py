"""Videos whose frames somebody has in memory: no labels, and no data set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distillbench.errors import ConfigError, DataError
from distillbench.interfaces import Labels, Videos


class InMemoryVideos(Videos):
    """Videos in memory: one array (T, D) each.

    Features and codec are those of other videos.

    Raises `ConfigError` where that is not a sequence of arrays, `DataError` where the frames are
    not like the others'.
    """

    def __init__(self, given: Any, like: Videos) -> None:
        if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
            raise ConfigError(
                [
                    "videos are a split's name or arrays of frames, one a video; found"
                    f" {type(given).__name__}"
                ]
            )
        self.features, self.codec, self.class_names = like.features, like.codec, like.class_names
        self._frames = [_checked(number, each, self.width) for number, each in enumerate(given)]
        if not self._frames:
            raise DataError("no video was given; at least one is needed")
        if len({frames.dtype for frames in self._frames}) > 1:
            raise DataError(
                "some videos are uint8, as they are stored, and some are not; give all alike"
            )
        self.ids = [str(number) for number in range(len(self._frames))]
        self.lengths = torch.tensor([len(frames) for frames in self._frames])
        nothing = torch.zeros(len(self._frames) + 1, dtype=torch.int64)
        self.labels = Labels(nothing, nothing[:0], like.labels.count)
        self.fingerprint = "given"

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Copies the frames numbered `frames` (B, S) of the videos (B,), zero where `NO_FRAME`."""
        shape = (*frames.shape, self.width)
        read = torch.empty(shape, dtype=self._frames[0].dtype) if out is None else out
        read.zero_()
        for row, video in enumerate(videos.tolist()):
            kept = frames[row] >= 0
            read[row, kept] = self._frames[video][frames[row, kept]]
        return read


def _checked(number: int, given: object, width: int) -> Tensor:
    """Makes a tensor of one video's frames: uint8 as stored, or float32."""
    where = f"video {number} (counted from 0)"
    array = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise DataError(f"{where} has frames of {array.dtype}; they are uint8 or floating point")
    if array.ndim != 2 or array.shape[1] != width or not len(array):
        raise DataError(
            f"{where} has the shape {array.shape}; frames are (T, {width}), T at least 1"
        )
    if array.dtype == np.uint8:
        return torch.from_numpy(np.ascontiguousarray(array))
    if not np.isfinite(array).all():
        raise DataError(f"{where} has a number that is not finite")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
