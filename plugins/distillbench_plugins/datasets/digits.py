"""Videos made from the real handwritten digits that scikit-learn carries.

The paper's effect in seconds.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench import hookimpl
from distillbench.data import LARGEST_SEED, require_bounds
from distillbench.errors import DataError
from distillbench.interfaces import Codec, DataSet, Labels, Splits, Videos

_SIDE, _GREYS, _CLASSES = 8, 16.0, 10
# Noise leaves the grey levels; these bounds are five standard deviations out.
_LOW, _HIGH = -_GREYS, 2 * _GREYS
_MOST_VIDEOS, _MOST_FRAMES = 1_000_000, 10_000
_MOST_FRAMES_OF_ALL, _MOST_NOISE = 50_000_000, 1_000_000
_AT_ONCE = 64  # videos, whose numbers stay in the processor's cache
_SHARES = {"train": 0.6, "validation": 0.15, "test": 0.25}


class _DigitVideos(Videos):
    """Digit videos in memory as uint8."""

    def __init__(self, name: str, frames: NDArray[np.uint8], labels: NDArray[np.bool_]) -> None:
        videos = len(frames)
        self.ids = [f"{name}-{video:05d}" for video in range(videos)]
        self.lengths = torch.full((videos,), frames.shape[1], dtype=torch.int64)
        offsets = np.concatenate([[0], labels.sum(1).cumsum()])
        self.labels = Labels(
            torch.from_numpy(offsets), torch.from_numpy(labels.nonzero()[1]), _CLASSES
        )
        self.features = {"pixels": _SIDE * _SIDE}
        self.class_names = [str(digit) for digit in range(_CLASSES)]
        step = (_HIGH - _LOW) / 255 / _GREYS
        self.codec = Codec(scale=step, offset=_LOW / _GREYS, normalise="none")
        self.fingerprint = hashlib.sha256(frames.tobytes() + labels.tobytes()).hexdigest()[:16]
        self._frames = torch.from_numpy(frames)

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        read = self._frames[videos[:, None], frames.clamp_min(0)]
        read[frames < 0] = 0
        return read if out is None else out.copy_(read)


class Digits(DataSet):
    """Shots of handwritten digits, uneven in length, jittered and noised.

    A video's labels are the digits it shows.

    A video has 4 to 9 shots; a shot is one image, which moves by up to a pixel and gets fresh noise
    in every frame. No image is seen in two splits. The images are the 1,797 of the UCI set of
    optically recognized digits.

    Knobs:
        train: training videos.
        validation: validation videos.
        test: test videos.
        frames: frames a video.
        fewest_shots: the fewest shots a video may have.
        most_shots: the most shots a video may have.
        noise: standard deviation of each frame's noise, in grey levels of which there are 16.
        jitter: by how many pixels, at most, a frame is moved in either direction.
        seed: what the videos are drawn with.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"train": 60, "validation": 20, "test": 30}

    recipe: ClassVar[Mapping[str, object]] = {
        "teacher.cell_size": 64,
        "student.cell_size": 64,
        "training.epochs": 60,
        "training.patience": 4,
        "training.batch_size": 64,
        "training.learning_rate": 6e-3,
        "training.decay": 0.94,
        "training.decay_examples": 3000,
        "training.threads": 1,
        "loss.rep": 0.1,
    }

    def __init__(
        self,
        *,
        train: int = 3000,
        validation: int = 500,
        test: int = 1000,
        frames: int = 60,
        fewest_shots: int = 4,
        most_shots: int = 9,
        noise: float = 3.0,
        jitter: int = 1,
        seed: int = 0,
    ) -> None:
        self.sizes = {"train": train, "validation": validation, "test": test}
        self.frames, self.shots, self.noise, self.jitter, self.seed = (
            frames,
            (fewest_shots, most_shots),
            noise,
            jitter,
            seed,
        )

    def splits(self) -> Splits:
        """Draws the three splits; the same knobs give the same videos."""
        self._check()
        images, digits = _handwritten()
        order = np.random.default_rng([self.seed, 0]).permutation(len(images))
        ends = (np.cumsum(list(_SHARES.values())) * len(images)).round().astype(int)
        parts = dict(zip(_SHARES, np.split(order, ends[:-1]), strict=True))
        made = {
            name: self._videos(name, number, images[part], digits[part])
            for number, (name, part) in enumerate(parts.items(), start=1)
        }
        return Splits(made["train"], made["validation"], made["test"])

    def _check(self) -> None:
        fewest, most = self.shots
        require_bounds(
            "digits",
            {
                **{name: (size, 1, _MOST_VIDEOS) for name, size in self.sizes.items()},
                "frames": (self.frames, 1, _MOST_FRAMES),
                "most_shots": (most, 1, self.frames),
                "fewest_shots": (fewest, 1, most),
                "noise": (self.noise, 0, _MOST_NOISE),
                "jitter": (self.jitter, 0, _SIDE - 1),
                "seed": (self.seed, 0, LARGEST_SEED),
            },
        )
        largest = max(self.sizes.values())
        if largest * self.frames > _MOST_FRAMES_OF_ALL:
            raise DataError(
                f"digits: {largest:,} videos of {self.frames:,} frames do not fit into memory; "
                f"a split has {_MOST_FRAMES_OF_ALL:,} frames at most"
            )

    def _videos(
        self, name: str, number: int, images: NDArray[np.float64], digits: NDArray[np.int64]
    ) -> _DigitVideos:
        generator = np.random.default_rng([self.seed, number])
        count = self.sizes[name]
        shots = generator.integers(self.shots[0], self.shots[1] + 1, count)
        # A shot begins at frame 0 ...
        cuts = generator.random((count, self.frames)) + (np.arange(self.frames) == 0)
        ranks = np.argsort(np.argsort(-cuts, axis=1), axis=1)
        shot_of_frame = (ranks < shots[:, None]).cumsum(
            1
        ) - 1  # ... and at the frames with the highest draws
        image_of_shot = generator.integers(0, len(images), (count, self.shots[1]))
        image_of_frame = np.take_along_axis(image_of_shot, shot_of_frame, 1)
        labels = np.zeros((count, _CLASSES), bool)
        labels[np.arange(count)[:, None], digits[image_of_frame]] = True
        return _DigitVideos(
            name, self._render(generator, images.astype(np.float32), image_of_frame), labels
        )

    def _render(
        self,
        generator: np.random.Generator,
        images: NDArray[np.float32],
        image_of_frame: NDArray[np.int64],
    ) -> NDArray[np.uint8]:
        count, pad = image_of_frame.shape[0], self.jitter
        padded = np.pad(images.reshape(-1, _SIDE, _SIDE), ((0, 0), (pad, pad), (pad, pad)))
        top, left = generator.integers(0, 2 * pad + 1, (2, count, self.frames))
        rows, columns = top[..., None] + np.arange(_SIDE), left[..., None] + np.arange(_SIDE)
        frames = np.empty((count, self.frames, _SIDE * _SIDE), np.uint8)
        for first in range(0, count, _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            at = (
                image_of_frame[some][..., None, None],
                rows[some][..., :, None],
                columns[some][..., None, :],
            )
            shown = padded[at].reshape(-1, self.frames, _SIDE * _SIDE)
            noised = generator.standard_normal(shown.shape, np.float32)
            noised *= self.noise
            noised += shown
            np.clip(noised, _LOW, _HIGH, out=noised)
            noised -= _LOW
            noised *= 255 / (_HIGH - _LOW)
            frames[some] = np.rint(noised, out=noised)
        return frames


def _handwritten() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Reads the images (N, 64) and their digits (N,) that scikit-learn carries.

    Its own `load_digits` imports all of it, which moves random states and takes a second. Raises
    `DataError` where there is no such file.
    """
    found = importlib.util.find_spec("sklearn")
    places = list(found.submodule_search_locations or ()) if found else []
    for place in places:
        path = Path(place, "datasets", "data", "digits.csv.gz")
        if path.is_file():
            with gzip.open(path, "rt", encoding="ascii") as file:
                table = np.loadtxt(file, delimiter=",")
            return table[:, :-1], table[:, -1].astype(np.int64)
    raise DataError("digits: the images of scikit-learn are missing; pip install scikit-learn")


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `digits`."""
    return {"digits": Digits}
