"""Writes any data set as frame-level shards in YouTube-8M's layout, which are read fast."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.data.pack_description import DESCRIPTION, PROGRESS, PackDescription
from distillbench.data.splits import NAMES
from distillbench.data.tfrecord.sequence_example import LONGEST_ID
from distillbench.data.tfrecord.writer import Video, write_shard
from distillbench.errors import DataError
from distillbench.interfaces import NO_FRAME, LabelKind, Splits, Videos
from distillbench.storage import written_whole

PackType = Literal["as-stored", "uint8", "float16", "float32"]

_SHARD = 256 << 20  # bytes of frames
_AT_ONCE = 32 << 20  # bytes of frames that are read at once
_LARGEST_VIDEO = 1 << 30  # bytes; a record of more than 2 GiB cannot be read
_LEVELS = 255

PackProgress = Callable[[str, int, int], None]
"""Is called with what is going on, how many videos that is done with, and of how many."""


@dataclass(frozen=True)
class PackError:
    """How far packed numbers are from those that were packed.

    count: how many numbers were written.
    largest: the largest difference.
    squares, own_squares: sums of the squares of differences, and of the numbers themselves.
    """

    count: int = 0
    largest: float = 0.0
    squares: float = 0.0
    own_squares: float = 0.0

    @property
    def rms(self) -> float:
        """The root of the mean square of differences."""
        return float((self.squares / max(self.count, 1)) ** 0.5)

    @property
    def own_rms(self) -> float:
        """The root of the mean square of the numbers themselves."""
        return float((self.own_squares / max(self.count, 1)) ** 0.5)

    def __add__(self, other: PackError) -> PackError:
        return PackError(
            self.count + other.count,
            max(self.largest, other.largest),
            self.squares + other.squares,
            self.own_squares + other.own_squares,
        )


@dataclass(frozen=True)
class Packed:
    """What was written.

    videos: of each split.
    skipped: what the data set left out, by reason.
    size: bytes of all shards.
    """

    description: PackDescription
    videos: Mapping[str, int]
    skipped: Mapping[str, int]
    shards: int
    size: int
    error: PackError


@dataclass(frozen=True)
class _Shard:
    """A shard to be written: its name, and the videos of a split that it holds."""

    name: str
    split: str
    which: range


def pack(
    splits: Splits,
    folder: Path,
    *,
    dtype: PackType = "as-stored",
    label_kind: LabelKind = "multi-label",
    progress: PackProgress = lambda _what, _done, _total: None,
) -> Packed:
    """Writes the videos of a data set as shards, with their splits, labels and names of classes.

    The folder holds `train-*.tfrecord` and so on, `classes.csv` if classes have names, and at last
    `packed.json`, which says how frames are read. Shards appear whole or not at all; what was begun
    and interrupted goes on where it was.

    dtype: what numbers are stored as. `as-stored`: bytes stay what they are, and floating point
        of 8 bytes becomes 4. `uint8`: 256 equal steps from the least number of all to the largest.
    label_kind: of the data set.
    Raises `DataError` where the folder holds anything else, or a video cannot be written.
    """
    _require_storable(splits)
    shards = list(_shards(splits))
    about = _described(splits, dtype, label_kind)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        done = _begun(folder, about.source)
        if done is None:
            about = _quantised(splits, about, progress)
            _keep(folder / PROGRESS, about, {})
            done = about, {}
        about, errors = done
        total = sum(len(each.which) for each in shards)
        count = 0
        for shard in shards:
            videos = getattr(splits, shard.split)
            if shard.name not in errors or not (folder / shard.name).is_file():
                report = _after(count, total, progress)
                writer = _Writer(videos, about, report)
                write_shard(folder / shard.name, writer.videos(shard.which))
                errors[shard.name] = writer.error
                _keep(folder / PROGRESS, about, errors)
            count += len(shard.which)
            progress("writing", count, total)
        _finish(folder, splits, about, errors)
    except OSError as error:
        raise DataError(
            f"{folder}: shards cannot be written there: {error.strerror or error}; what is written"
            " already is kept, and the same command goes on from there"
        ) from error
    return Packed(
        about,
        {name: len(getattr(splits, name)) for name in NAMES},
        getattr(splits.train, "skipped", {}),
        len(shards),
        sum((folder / shard.name).stat().st_size for shard in shards),
        sum(errors.values(), PackError()),
    )


def _described(splits: Splits, dtype: PackType, label_kind: LabelKind) -> PackDescription:
    """Returns the description, without the quantiser of floating point."""
    train = splits.train
    stored = _stored_dtype(train)
    if stored == torch.uint8 and dtype not in ("as-stored", "uint8"):
        raise DataError(f"these frames are stored as uint8, and are not more exact as {dtype}")
    kept = "float32" if stored == torch.float64 else str(stored).removeprefix("torch.")
    of = [getattr(splits, name).fingerprint for name in NAMES]
    digest = blake2b(repr((dtype, label_kind, *of)).encode(), digest_size=16)
    is_bytes = stored == torch.uint8
    return PackDescription(
        features=dict(train.features),
        dtype=kept if dtype == "as-stored" else dtype,
        scale=train.codec.scale if is_bytes else 1.0,
        offset=train.codec.offset if is_bytes else 0.0,
        normalise=train.codec.normalise,
        classes=train.labels.count,
        label_kind=label_kind,
        source=digest.hexdigest(),
    )


def _after(before: int, total: int, progress: PackProgress) -> Callable[[int], None]:
    """Returns what reports a shard's videos, which come after so many others."""
    return lambda done: progress("writing", before + done, total)


def _quantised(splits: Splits, about: PackDescription, progress: PackProgress) -> PackDescription:
    """Adds the quantiser, for which everything is read once, where floats become bytes."""
    if about.dtype != "uint8" or _stored_dtype(splits.train) == torch.uint8:
        return about
    least, most = float("inf"), float("-inf")
    total, done = sum(len(getattr(splits, name)) for name in NAMES), 0
    for name in NAMES:
        videos: Videos = getattr(splits, name)
        for some, frames in _read(videos, range(len(videos))):
            least = min(least, float(frames.min()))
            most = max(most, float(frames.max()))
            done += len(some)
            progress("looking for the range", done, total)
    return replace(about, scale=(most - least) / _LEVELS or 1.0, offset=least)


def _stored_dtype(videos: Videos) -> torch.dtype:
    first = torch.zeros(1, dtype=torch.int64)
    return videos.read(first, first[:, None]).dtype


def _shards(splits: Splits) -> Iterator[_Shard]:
    """Shares the videos of each split out to shards of about equal size."""
    for name in NAMES:
        videos: Videos = getattr(splits, name)
        size = int(videos.lengths.sum()) * videos.width * _stored_dtype(videos).itemsize
        count = max(1, min(len(videos), round(size / _SHARD)))
        ends = [len(videos) * number // count for number in range(count + 1)]
        for number in range(count):
            path = f"{name}-{number:05d}-of-{count:05d}.tfrecord"
            yield _Shard(path, name, range(ends[number], ends[number + 1]))


def _require_storable(splits: Splits) -> None:
    """Raises `DataError` for a video that no shard can hold."""
    for name in NAMES:
        videos: Videos = getattr(splits, name)
        longest = int(videos.lengths.argmax())
        frames = int(videos.lengths[longest])
        if frames * videos.width * 4 > _LARGEST_VIDEO:
            raise DataError(
                f"video {videos.ids[longest]!r} has {frames:,} frames of {videos.width:,} numbers,"
                f" and a shard holds no video of more than {_LARGEST_VIDEO >> 30} GiB"
            )
        long = next((each for each in videos.ids if len(each.encode()) > LONGEST_ID), None)
        if long is not None:
            raise DataError(f"the id {long[:60]!r}... is longer than {LONGEST_ID} bytes")


def _read(videos: Videos, which: range) -> Iterator[tuple[range, Tensor]]:
    """Reads all frames of some videos: some videos at once, and their frames end to end, (N, D)."""
    for part in _parts(videos.lengths[which.start : which.stop].tolist(), videos.width):
        some = range(which.start + part.start, which.start + part.stop)
        lengths = videos.lengths[some.start : some.stop]
        index = torch.arange(int(lengths.max())).expand(len(some), -1)
        index = index.masked_fill(index >= lengths[:, None], NO_FRAME)
        frames = videos.read(torch.arange(some.start, some.stop), index)
        yield some, frames[index >= 0]


def _parts(lengths: list[int], width: int) -> Iterator[range]:
    """Cuts a row of videos so that each part takes little memory, padded to its longest."""
    start = longest = 0
    for number, length in enumerate(lengths):
        longest = max(longest, length)
        if number > start and (number + 1 - start) * longest * width * 4 > _AT_ONCE:
            yield range(start, number)
            start, longest = number, length
    if start < len(lengths):
        yield range(start, len(lengths))


class _Writer:
    """Makes the records of some videos, and sums up what that changes of their numbers."""

    def __init__(
        self, videos: Videos, about: PackDescription, report: Callable[[int], None]
    ) -> None:
        self._videos, self._about, self._report = videos, about, report
        self.error = PackError()

    def videos(self, which: range) -> Iterator[Video]:
        """Yields the videos to write."""
        bounds = np.cumsum([0, *self._about.features.values()]).tolist()
        labels = self._videos.labels
        for some, frames in _read(self._videos, which):
            stored = self._stored(frames)
            ends = self._videos.lengths[some.start : some.stop].cumsum(0).tolist()
            for video, start, end in zip(some, [0, *ends], ends, strict=False):
                first, last = labels.offsets[video : video + 2].tolist()
                yield Video(
                    self._videos.ids[video],
                    labels.classes[first:last].tolist(),
                    {
                        name: stored[start:end, low:high]
                        for name, low, high in zip(
                            self._about.features, bounds, bounds[1:], strict=False
                        )
                    },
                )
            self._report(some.stop - which.start)

    def _stored(self, frames: Tensor) -> NDArray[Any]:
        if frames.dtype == torch.uint8:
            self.error += PackError(count=frames.numel())
            return frames.numpy()
        values = frames.numpy().astype(np.float64)
        if self._about.dtype == "uint8":
            steps_up = (values - self._about.offset) / self._about.scale
            stored: NDArray[Any] = steps_up.round().clip(0, _LEVELS).astype(np.uint8)
            back = stored * self._about.scale + self._about.offset
        else:
            with np.errstate(over="ignore"):
                stored = frames.numpy().astype(self._about.dtype)
            back = stored.astype(np.float64)
            if not np.isfinite(back).all():
                raise DataError(
                    f"a number of {float(np.abs(values).max()):g} is too large for"
                    f" {self._about.dtype}"
                )
        off = np.abs(back - values)
        self.error += PackError(
            values.size, float(off.max()), float((off**2).sum()), float((values**2).sum())
        )
        return stored


def _begun(folder: Path, source: str) -> tuple[PackDescription, dict[str, PackError]] | None:
    """Returns what an interrupted packing left: its description and the shards it wrote.

    Raises `DataError` where the folder holds anything else.
    """
    for name in (PROGRESS, DESCRIPTION):
        path = folder / name
        if not path.is_file():
            continue
        try:
            found = json.loads(path.read_bytes())
            errors = {shard: PackError(**each) for shard, each in found.pop("shards").items()}
            about = PackDescription(**found)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DataError(f"{path}: cannot be read: {error}; pack into a new folder") from error
        if about.source != source:
            raise DataError(
                f"{folder}: shards of other data, or of the same packed otherwise, are there; name"
                " a new folder"
            )
        return about, errors
    if any(not each.name.startswith(".") for each in folder.iterdir()):
        raise DataError(f"{folder}: other files are in this folder; name a new one")
    return None


def _keep(path: Path, about: PackDescription, errors: dict[str, PackError]) -> None:
    with written_whole(path) as file:
        shards = {name: asdict(error) for name, error in errors.items()}
        file.write(about.text(shards=shards).encode())


def _finish(
    folder: Path, splits: Splits, about: PackDescription, errors: dict[str, PackError]
) -> None:
    names = splits.train.class_names
    if names is not None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([("index", "name"), *enumerate(names)])
        with written_whole(folder / "classes.csv") as file:
            file.write(text.getvalue().encode())
    _keep(folder / DESCRIPTION, about, errors)
    (folder / PROGRESS).unlink(missing_ok=True)
