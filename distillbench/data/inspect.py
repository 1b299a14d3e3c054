"""Describes what a file or a folder holds, whatever it holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from distillbench.data.naming import enumerated
from distillbench.data.pack_description import description_of
from distillbench.data.places import Place, files_below, is_file, size_of
from distillbench.data.splits import NAMES
from distillbench.data.tfrecord.framing import NO_TFRECORD
from distillbench.data.tfrecord.index import ShardIndex
from distillbench.data.tfrecord.index_cache import shard_index
from distillbench.data.tfrecord.sequence_example import VIDEO_LEVEL, Fault
from distillbench.errors import DataError
from distillbench.interfaces import Splits, Videos

_MOST_LACKING = 3
_NUMBER = re.compile(r"\d+|…")  # … stands for numbers that differ
Kind = Literal[
    "frame-level", "video-level", "not a TFRecord", "unusable", "unreadable", "not a shard"
]


@dataclass(frozen=True)
class Spread:
    """The least, the middle (median), the mean and the most of some counts."""

    least: int
    median: float
    mean: float
    most: int


@dataclass(frozen=True)
class FileReport:
    """What one file holds.

    frames: of a video, by its longest list; labels: a video; both None where there is no video.
    features: each list's widths, ascending, more than one being trouble.
    bad: records that cannot be used, by reason, the most frequent first; also videos whose list
    cannot be read. Reasons that differ in numbers alone are one, whose differing numbers are left
    out.
    unlabelled: videos without labels.
    """

    path: Place
    kind: Kind
    bytes: int = 0
    videos: int = 0
    frames: Spread | None = None
    labels: Spread | None = None
    features: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    classes: int = 0
    unlabelled: int = 0
    bad: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Inspection:
    """What a path holds: every file, and all frame-level shards together.

    `total.path` is the path that was requested.
    """

    files: Sequence[FileReport]
    total: FileReport


@dataclass(frozen=True)
class SplitReport:
    """What a split of a data set holds, whatever it is stored in.

    frames, labels: of a video.
    used: how many classes its videos have.
    """

    name: str
    videos: int
    frames: Spread
    labels: Spread
    used: int


@dataclass(frozen=True)
class DataReport:
    """What a data set holds.

    dtype: of the numbers of a frame as they are stored.
    skipped: what was left out, by reason.
    """

    splits: Sequence[SplitReport]
    features: Mapping[str, int]
    dtype: str
    classes: int
    named: bool
    skipped: Mapping[str, int]


def inspect_splits(splits: Splits) -> DataReport:
    """Inspects a data set that is open."""
    train = splits.train
    first = torch.zeros(1, dtype=torch.int64)
    return DataReport(
        [_split_report(name, getattr(splits, name)) for name in NAMES],
        dict(train.features),
        str(train.read(first, first[:, None]).dtype).removeprefix("torch."),
        train.labels.count,
        train.class_names is not None,
        getattr(train, "skipped", {}),
    )


def _split_report(name: str, videos: Videos) -> SplitReport:
    return SplitReport(
        name,
        len(videos),
        _spread(videos.lengths.numpy()),
        _spread(videos.labels.offsets.diff().numpy()),
        int((videos.labels.positives() > 0).sum()),
    )


def inspect(path: Place) -> Inspection:
    """Inspects a shard, or every file under a folder; reports bad files.

    Raises `DataError` if there is none.
    """
    try:
        found = [path] if is_file(path) else files_below(path)
        if not found:
            is_folder = isinstance(path, Path) and path.is_dir()
            raise DataError(
                f"{path}: {'the folder holds no file' if is_folder else 'no such file or folder'}"
            )
    except OSError as error:
        raise DataError(f"{path}: cannot be looked into: {error.strerror or error}") from error
    with ThreadPoolExecutor() as pool:
        looked = list(pool.map(lambda each: _look(each, requested=each == path), found))
    indexes = [index for _, index in looked if index is not None]
    sizes = [_number_size(report.path) for report, index in looked if index is not None]
    bad: Counter[str] = Counter()
    for report, _ in looked:
        bad.update(report.bad)
    kinds = {report.kind for report, _ in looked} - {"not a shard"}
    kind: Kind = kinds.pop() if len(kinds) == 1 else "frame-level" if indexes else "unusable"
    size = sum(report.bytes for report, _ in looked if report.kind != "not a shard")
    return Inspection(
        [report for report, _ in looked], _summary(path, kind, size, indexes, bad, sizes)
    )


def _look(path: Place, requested: bool) -> tuple[FileReport, ShardIndex | None]:
    try:
        size = size_of(path)
    except OSError as error:  # it went since it was found
        return FileReport(path, "unreadable", bad={error.strerror or str(error): 1}), None
    if not requested and path.suffix != ".tfrecord":
        return FileReport(path, "not a shard", size), None
    try:
        index = shard_index(path)
    except DataError as error:
        return (
            FileReport(path, "unreadable", size, bad={str(error).removeprefix(f"{path}: "): 1}),
            None,
        )
    bad = Counter(each.reason for each in index.bad)
    if len(index):
        faults = bad + _faults(index)
        return _summary(path, "frame-level", size, [index], faults, [_number_size(path)]), index
    kind: Kind = "unusable"
    if all(reason.startswith(VIDEO_LEVEL) for reason in bad):
        kind = "video-level"
    elif NO_TFRECORD in index.bad[0].reason:
        kind = "not a TFRecord"
    return FileReport(path, kind, size, bad=_grouped(bad)), None


def _number_size(path: Place) -> int:
    """Returns how many bytes a number of a shard has: 1, unless its description says otherwise."""
    try:
        described = description_of([path.parent])
    except DataError:
        return 1
    return described.torch_dtype.itemsize if described else 1


def _summary(
    path: Place,
    kind: Kind,
    size: int,
    indexes: Sequence[ShardIndex],
    bad: Counter[str],
    sizes: Sequence[int],
) -> FileReport:
    """sizes: of a number in each shard, in bytes."""
    if not indexes:
        return FileReport(path, kind, size, bad=_grouped(bad))
    labels = np.concatenate([np.diff(index.label_ends, prepend=0) for index in indexes])
    longest = [
        np.max([column.count for column in index.columns.values()], axis=0, initial=0)
        for index in indexes
    ]
    widths: dict[str, set[int]] = {}
    for index, size_of_number in zip(indexes, sizes, strict=True):
        for name, column in index.columns.items():
            found = np.unique(column.width[column.count > 0]) // size_of_number
            widths.setdefault(name, set()).update(found.tolist())
    return FileReport(
        path,
        kind,
        size,
        videos=len(labels),
        frames=_spread(np.concatenate(longest)),
        labels=_spread(labels),
        features={name: tuple(sorted(found)) for name, found in sorted(widths.items())},
        classes=len(np.unique(np.concatenate([index.labels for index in indexes]))),
        unlabelled=sum(int((~index.labelled).sum()) for index in indexes),
        bad=_grouped(bad),
    )


def _faults(index: ShardIndex) -> Counter[str]:
    """Counts the lists of videos that cannot be read, by reason."""
    faults = Counter(_missing(index))
    for name, column in index.columns.items():
        unusable = (column.count < 0) & (column.count != Fault.MISSING)
        faults.update(
            Fault(int(count)).sentence(name, int(base))
            for count, base in zip(column.count[unusable], column.base[unusable], strict=True)
        )
    return faults


def _missing(index: ShardIndex) -> dict[str, int]:
    """Counts the videos of a shard that lack a list which others have.

    Where many lists are lacking, all in one.
    """
    missing = {name: column.count == Fault.MISSING for name, column in index.columns.items()}
    lacking = {name: videos for name, videos in missing.items() if videos.any()}
    if len(lacking) > _MOST_LACKING:
        reason = f"it has not every list that others have ({enumerated(sorted(lacking))})"
        return {reason: int(np.any(list(lacking.values()), axis=0).sum())}
    return {Fault.MISSING.sentence(name, 0): int(videos.sum()) for name, videos in lacking.items()}


def _grouped(reasons: Mapping[str, int]) -> dict[str, int]:
    """Makes one of reasons that differ in numbers alone; the most frequent come first."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for reason in reasons:
        alike.setdefault(tuple(_NUMBER.split(reason)), []).append(reason)
    counts = {
        _common(words, same): sum(reasons[each] for each in same) for words, same in alike.items()
    }
    return dict(sorted(counts.items(), key=lambda each: -each[1]))


def _common(words: Sequence[str], reasons: Sequence[str]) -> str:
    """Joins reasons that differ in their numbers alone."""
    places = zip(*map(_NUMBER.findall, reasons), strict=True)
    numbers = [found[0] if len(set(found)) == 1 else "…" for found in places]
    return "".join(chain.from_iterable(zip_longest(words, numbers, fillvalue="")))


def _spread(counts: NDArray[Any]) -> Spread:
    return Spread(
        int(counts.min()), float(np.median(counts)), float(counts.mean()), int(counts.max())
    )
