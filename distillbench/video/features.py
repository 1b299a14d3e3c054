"""Makes features of the frames of video files, and counts what that takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from distillbench.errors import DataError
from distillbench.interfaces import NO_FRAME, Labels, Videos
from distillbench.video.backbone import LoadedBackbone
from distillbench.video.pictures import Picture
from distillbench.video.video_file import VideoFile

Stored = Literal["float16", "float32"]
"""The type that features are stored in."""

_AT_ONCE = 8  # pictures that are encoded together


@dataclass
class Spent:
    """What was spent on a video so far.

    decoded: frames, those between the wanted ones included. encoded: pictures.
    decoding, encoding: seconds.
    """

    decoded: int = 0
    encoded: int = 0
    decoding: float = 0.0
    encoding: float = 0.0


class FrameEncoder:
    """Decodes frames of video files and encodes them as features.

    rate: frames a second.
    stored: the type of the features.
    threads: that decode.
    """

    def __init__(
        self, backbone: LoadedBackbone, rate: Fraction, stored: Stored, threads: int = 1
    ) -> None:
        self.backbone, self.rate, self._threads = backbone, rate, threads
        self.dtype: torch.dtype = getattr(torch, stored)

    def opened(self, path: str | Path, spent: Spent) -> VideoFile:
        """Opens a video file; raises `DataError` where it cannot be used."""
        began = time.perf_counter()
        video = VideoFile(path, self.rate, threads=self._threads)
        spent.decoding += time.perf_counter() - began
        spent.decoded += video.decoded
        return video

    def features(self, video: VideoFile, frames: Sequence[int], spent: Spent) -> Tensor:
        """Encodes some frames of a video: (F, D). Raises `DataError` where that cannot be done."""
        made = torch.empty(len(frames), self.backbone.width, dtype=self.dtype)
        decoded = video.decoded
        for places, pictures in self._batches(video, frames, spent):
            began = time.perf_counter()
            encoded = self.backbone.encode(pictures).to(self.dtype)
            spent.encoding += time.perf_counter() - began
            spent.encoded += len(pictures)
            if not bool(encoded.isfinite().all()):
                raise DataError(
                    f"{video.path}: the backbone makes numbers of it that {self.dtype} cannot hold"
                )
            for of_picture, row in zip(places, encoded, strict=True):
                made[of_picture] = row
        spent.decoded += video.decoded - decoded
        return made

    def _batches(
        self, video: VideoFile, frames: Sequence[int], spent: Spent
    ) -> Iterator[tuple[list[list[int]], Picture]]:
        """Yields pictures, a few at once, and the places of each; times the decoding."""
        parts = video.in_parts(frames, self.backbone.square)
        while True:
            began = time.perf_counter()
            some = [part for _, part in zip(range(_AT_ONCE), parts, strict=False)]
            spent.decoding += time.perf_counter() - began
            if not some:
                return
            yield [list(places) for places, _ in some], np.stack([each for _, each in some])


class EncodedVideo(Videos):
    """One video file as a split of one video, of which what is asked for is decoded and encoded.

    A frame that is asked for a second time is not decoded again.

    spent: on it so far.
    """

    def __init__(self, path: Path, encoder: FrameEncoder, like: Videos) -> None:
        """like: whose features they are, and how they are decoded.

        Raises `DataError` where the file cannot be used.
        """
        self.spent = Spent()
        self._encoder = encoder
        self._file = encoder.opened(path, self.spent)
        self._made: dict[int, Tensor] = {}
        self.ids = [path.stem]
        self.lengths = torch.tensor([len(self._file)])
        nothing = torch.zeros(2, dtype=torch.int64)
        self.labels = Labels(nothing, nothing[:0], like.labels.count)
        self.features, self.codec, self.class_names = like.features, like.codec, like.class_names
        self.fingerprint = "given"

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Returns the features of frames (1, S) of the video: (1, S, D), zero where `NO_FRAME`."""
        wanted = frames[0].tolist()
        missing = sorted({each for each in wanted if each != NO_FRAME} - self._made.keys())
        made = self._encoder.features(self._file, missing, self.spent)
        self._made.update(zip(missing, made, strict=True))
        shape = (1, len(wanted), self.width)
        read = torch.empty(shape, dtype=self._encoder.dtype) if out is None else out
        read.zero_()
        for place, frame in enumerate(wanted):
            if frame != NO_FRAME:
                read[0, place] = self._made[frame]
        return read
