"""Writes frame-level shards in YouTube-8M's layout, and makes up videos to write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distillbench.data.bounds import LARGEST_SEED, MOST_CLASSES, require_bounds
from distillbench.data.tfrecord.framing import write_record
from distillbench.errors import DataError
from distillbench.storage import written_whole

_MOST_VIDEOS = 100_000_000
_MOST_FRAMES = _WIDEST = 100_000
_MOST_NUMBERS = 100_000_000  # that are made at once, each taking eight bytes
_MOST_NOISE = 1_000_000

Frames = NDArray[np.uint8]
"""Frames as YouTube-8M stores them."""


@dataclass(frozen=True)
class Video:
    """One video to write.

    frames: by the list's name, (N, width); uint8, or any numbers, whose bytes are written.
    labels: None writes no such key.
    """

    id: str
    labels: Sequence[int] | None
    frames: Mapping[str, NDArray[Any]]


def write_shard(path: Path, videos: Iterable[Video], id_key: str = "id") -> None:
    """Writes a shard that appears whole or not at all."""
    with written_whole(path) as file:
        for video in videos:
            write_record(file, encode(video, id_key))


def encode(video: Video, id_key: str = "id") -> bytes:
    """Returns the video as a `tf.train.SequenceExample`, encoded as TensorFlow encodes it."""
    context = [_entry(id_key, _field(1, _field(1, video.id.encode())))]
    if video.labels is not None:
        packed = b"".join(_varint(label) for label in video.labels)
        context.append(_entry("labels", _field(3, _field(1, packed) if packed else b"")))
    lists = [_entry(name, _frame_list(frames)) for name, frames in video.frames.items()]
    return _field(1, b"".join(context)) + _field(2, b"".join(lists))


def _frame_list(numbers: NDArray[Any]) -> bytes:
    """Encodes a list of frames in one piece: every frame has the same header."""
    frames = np.ascontiguousarray(numbers).view(np.uint8)
    count, width = frames.shape
    value = _header(1, width)
    feature = _header(1, len(value) + width) + value
    header = np.frombuffer(_header(1, len(feature) + width) + feature, np.uint8)
    return np.hstack([np.broadcast_to(header, (count, len(header))), frames]).tobytes()


def _entry(key: str, value: bytes) -> bytes:
    return _field(1, _field(1, key.encode()) + _field(2, value))


def _field(number: int, value: bytes) -> bytes:
    return _header(number, len(value)) + value


def _header(number: int, length: int) -> bytes:
    return _varint(number << 3 | 2) + _varint(length)


def _varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes((*encoded, value))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to make up videos whose frames tell their labels.

    Each class has a fixed look (a prototype a feature). A video has 1 to `most_labels` labels,
    drawn from a long tail (class c has weight 1 / (c + 1)); its frames are cut into shots, and each
    shot shows the look of one of its labels or, one time in three, none. Noise is added to every
    frame. Lengths are uniform in [shortest, longest].

    widths: of each feature.
    noise: standard deviation beside a look whose own is 1.
    """

    videos: int = 600
    widths: Mapping[str, int]
    classes: int = 20
    most_labels: int = 4
    shortest: int = 1
    longest: int = 300
    noise: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.widths:
            raise DataError(
                "synthetic videos: at least one feature is needed, and none has a width"
            )
        require_bounds(
            "synthetic videos",
            {
                "videos": (self.videos, 1, _MOST_VIDEOS),
                "classes": (self.classes, 1, MOST_CLASSES),
                "most_labels": (self.most_labels, 1, MOST_CLASSES),
                "shortest": (self.shortest, 1, _MOST_FRAMES),
                "longest": (self.longest, self.shortest, _MOST_FRAMES),
                "noise": (self.noise, 0, _MOST_NOISE),
                "seed": (self.seed, 0, LARGEST_SEED),
                **{
                    f"the width of {name}": (width, 1, _WIDEST)
                    for name, width in self.widths.items()
                },
            },
        )
        rows, width = max(self.longest, self.classes), sum(self.widths.values())
        if rows * width > _MOST_NUMBERS:
            raise DataError(
                f"synthetic videos: {rows:,} classes or frames of {width:,} numbers do not fit into"
                f" memory; their product must be at most {_MOST_NUMBERS:,}"
            )


def synthetic_videos(recipe: Recipe) -> Iterator[Video]:
    """Makes up videos; video v depends on the recipe and v alone."""
    shared = np.random.default_rng([recipe.seed, 0])
    looks = {
        name: shared.standard_normal((recipe.classes + 1, width))
        for name, width in recipe.widths.items()
    }
    tail = 1 / np.arange(1, recipe.classes + 1)
    for number in range(recipe.videos):
        random = np.random.default_rng([recipe.seed, 1, number])
        count = int(random.integers(1, min(recipe.most_labels, recipe.classes) + 1))
        labels = np.sort(random.choice(recipe.classes, count, replace=False, p=tail / tail.sum()))
        shown = _shots(
            random,
            labels,
            int(random.integers(recipe.shortest, recipe.longest + 1)),
            recipe.classes,
        )
        frames = {
            name: _quantised(random, look[shown], recipe.noise) for name, look in looks.items()
        }
        yield Video(f"s{recipe.seed}v{number:07d}", labels.tolist(), frames)


def write_synthetic(folder: Path, recipe: Recipe, shards: int = 4) -> list[Path]:
    """Writes made-up videos to `shards` shards in a folder that exists.

    The same bytes for the same arguments.
    """
    if shards < 1:
        raise DataError(f"synthetic videos: {shards} shards were requested; at least 1 is needed")
    paths = [folder / f"synthetic{number:04d}.tfrecord" for number in range(shards)]
    ends = [recipe.videos * (number + 1) // shards for number in range(shards)]
    videos = enumerate(synthetic_videos(recipe))
    start = 0
    for path, end in zip(paths, ends, strict=True):
        write_shard(path, (video for _, (_, video) in zip(range(start, end), videos, strict=False)))
        start = end
    return paths


def _shots(
    random: np.random.Generator, labels: NDArray[np.int64], length: int, nothing: int
) -> NDArray[np.int64]:
    """Returns the class each frame shows; `nothing` where it shows none.

    Every label is shown where there is room.
    """
    shots = max(1, min(length, len(labels) + len(labels) // 2 + 1))
    shows = np.concatenate([labels, np.full(shots, nothing)])[:shots]
    cuts = (
        np.sort(random.choice(length - 1, shots - 1, replace=False)) + 1
        if shots > 1
        else np.zeros(0, np.int64)
    )
    return np.repeat(random.permutation(shows), np.diff([0, *cuts, length]))


def _quantised(random: np.random.Generator, looks: NDArray[np.float64], noise: float) -> Frames:
    """Adds noise and stores [-2, 2] as 0 to 255, as YouTube-8M does."""
    values = (looks + noise * random.standard_normal(looks.shape, np.float32)) / np.sqrt(
        1 + noise**2
    )
    stored: Frames = np.round((values.clip(-2, 2) + 2) * (255 / 4)).astype(np.uint8)
    return stored
