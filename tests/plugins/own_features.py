"""Made-up features of one's own, whatever the format that a test writes them in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from distillbench.errors import DataError
from distillbench.interfaces import NO_FRAME, Splits, Videos

WIDTH, VIDEOS = 8, 60
KINDS = ("bird", "cat", "dog")
SPLITS = ("train", "train", "train", "validation", "test")
NAMES = ("train", "validation", "test")


@dataclass(frozen=True)
class Made:
    """One made-up video."""

    id: str
    frames: np.ndarray
    labels: list[str]
    split: str


def made(most: int = 2, dtype: str = "float16", count: int = VIDEOS) -> list[Made]:
    """Makes videos in which every class has a number of its own."""
    random = np.random.default_rng(0)
    videos = []
    for number in range(count):
        classes = random.choice(len(KINDS), random.integers(1, most + 1), replace=False)
        frames = 9 * random.random((random.integers(3, 9), WIDTH))
        frames[:, classes] += 50
        labels = sorted(KINDS[each] for each in classes)
        videos.append(Made(f"v{number}", frames.astype(dtype), labels, SPLITS[number % 5]))
    return videos


@st.composite
def any_arrays(
    draw: st.DrawFn, dtypes: tuple[str, ...] = ("uint8", "float16", "float32", "float64")
) -> list[np.ndarray]:
    """Draws three to six arrays of one type and width."""
    dtype, width = draw(st.sampled_from(dtypes)), draw(st.integers(1, 5))
    finite = None if dtype == "uint8" else st.floats(-9, 9, width=16)
    return [
        draw(hnp.arrays(dtype, (draw(st.integers(1, 12)), width), elements=finite))
        for _ in range(draw(st.integers(3, 6)))
    ]


def split_of(number: int) -> str:
    """Returns a split, so that of three videos or more each split has one."""
    return NAMES[number % 3]


def assert_same(splits: Splits, arrays: dict[str, np.ndarray], data: st.DataObject) -> None:
    """Asserts that k frames of every video are those of its array, in any order and more than once."""
    seen = []
    for videos in (splits.train, splits.validation, splits.test):
        seen += list(videos.ids)
        slots = data.draw(st.sampled_from([1, 3, 9, 12]))
        index = torch.tensor(
            [
                [data.draw(st.integers(NO_FRAME, int(length) - 1)) for _ in range(slots)]
                for length in videos.lengths
            ]
        )
        assert_frames(videos, arrays, index)
        runs = torch.arange(12).expand(len(videos), -1)
        assert_frames(videos, arrays, runs.masked_fill(runs >= videos.lengths[:, None], NO_FRAME))
    assert sorted(seen) == sorted(arrays)


def assert_frames(videos: Videos, arrays: dict[str, np.ndarray], index: torch.Tensor) -> None:
    """Asserts that frames are those of the arrays, zero where there is none."""
    read = videos.read(torch.arange(len(videos)), index)
    for row, name in enumerate(videos.ids):
        array = arrays[name]
        assert videos.lengths[row] == len(array)
        assert read.numpy().dtype == array.dtype
        expected = np.where(index[row, :, None].numpy() < 0, 0, array[index[row].numpy()])
        assert np.array_equal(read[row].numpy(), expected)
    again = torch.full_like(read, 7)
    assert videos.read(torch.arange(len(videos)), index, again) is again
    assert torch.equal(again, read)


def assert_read_or_refused(opened: Callable[[], Splits]) -> None:
    """Asserts that data is read, up to the last frame of every video, or is a `DataError`."""
    with contextlib.suppress(DataError):
        splits = opened()
        for videos in (splits.train, splits.validation, splits.test):
            videos.read(torch.arange(len(videos)), videos.lengths[:, None] - 1)


def change_bytes(path: Path, data: st.DataObject, last: int | None = None) -> None:
    """Changes one to four bytes of a file, those up to a place alone if there is one."""
    content = bytearray(path.read_bytes())
    last = len(content) - 1 if last is None else last
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, last))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)


def labels_of(splits: Splits) -> dict[str, set[str]]:
    """Returns the names of each video's labels, or their numbers."""
    found = {}
    for videos in (splits.train, splits.validation, splits.test):
        dense = videos.labels.dense(torch.arange(len(videos)))
        for name, row in zip(videos.ids, dense, strict=True):
            numbers = row.nonzero().flatten().tolist()
            found[name] = {videos.class_names[n] if videos.class_names else str(n) for n in numbers}
    return found
