"""Videos in frame-level TFRecord shards.

Shards are indexed once; frames are then gathered from the mapped files.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.data.bounds import MOST_CLASSES
from distillbench.data.memory.gathering import gather
from distillbench.data.memory.scratch_arrays import joined, running_sums
from distillbench.data.places import Place, place_of
from distillbench.data.remote.path import RemotePath
from distillbench.data.stored_videos import StoredVideos
from distillbench.data.tfrecord.batch_parser import Ints
from distillbench.data.tfrecord.frame_bytes import Feature, Wanted, frame_bytes
from distillbench.data.tfrecord.index import Column, ShardIndex
from distillbench.data.tfrecord.index_cache import shard_indexes
from distillbench.data.tfrecord.sequence_example import Fault
from distillbench.data.tfrecord.validation import Validator
from distillbench.errors import DataError
from distillbench.interfaces import Codec, Labels


def find_shards(pattern: str) -> list[Place]:
    """Finds shards by a glob pattern, or every `*.tfrecord` under a folder; sorted.

    By URL `{000..099}` in a pattern stands for numbers; what is named so is not looked for.

    Raises `DataError` for none.
    """
    place = place_of(pattern)
    try:
        if isinstance(place, RemotePath):
            return _remote_shards(pattern, place)
        if place.is_dir():
            found = [path for path in place.rglob("*.tfrecord") if not path.name.startswith(".")]
            none = "no *.tfrecord in this folder or below it"
        else:
            found = [
                path for path in map(Path, glob.glob(str(place), recursive=True)) if path.is_file()
            ]
            none = "no such folder, and no file matches it as a pattern"
    except OSError as error:
        raise DataError(f"{pattern}: cannot be looked into: {error.strerror or error}") from error
    if not found:
        raise DataError(f"{pattern}: {none}")
    return sorted(found)


def _remote_shards(pattern: str, place: RemotePath) -> list[Place]:
    found = place.matching()
    if found == [place] and not place.is_file():
        found = [each for each in place.below() if each.suffix == ".tfrecord"]
        if not found:
            raise DataError(
                f"{pattern}: no such file, and no *.tfrecord in such a folder or below it"
            )
    if not found:
        raise DataError(f"{pattern}: no file matches it as a pattern")
    return list(found)


class ShardVideos(StoredVideos):
    """All videos of some shards.

    A video is as long as the shortest of the requested features. `shard_of` (V,) is the number of
    each video's shard in `paths`. `skipped` counts the records that were left out, by reason. A
    shard must be left alone while it is open: reading looks once a second (by URL, at every
    request) and raises `DataError`, but a local one that is cut short in between kills the process.
    """

    def __init__(
        self,
        paths: Sequence[Place],
        features: Sequence[str],
        *,
        classes: int | None = None,
        class_names: Sequence[str] | None = None,
        skip_bad_records: bool = False,
        needs_labels: bool = True,
        codec: Codec | None = None,
        dtype: torch.dtype = torch.uint8,
    ) -> None:
        """Opens the shards, indexing those that are new.

        features: names of lists, in the order they are to be joined.
        dtype: of the numbers whose bytes a frame is; the default is YouTube-8M's.
        classes: how many there are; by default the names, or else one more than the highest label.
        Raises `DataError`, and `RecordError` for the first bad record unless these are to be
        skipped.
        """
        indexes = shard_indexes(paths)
        columns = {name: [_column(index, name) for index in indexes] for name in features}
        usable = Validator(paths, indexes, skip_bad_records)
        self.ids: Sequence[str] = usable.validate(columns, needs_labels)
        self.skipped = usable.report()
        self.paths = tuple(paths)
        self.shard_of = usable.shards()
        self.codec = codec or Codec()
        self.class_names = class_names
        self.labels = _labels(
            indexes, usable, classes or (len(class_names) if class_names else None)
        )
        self._bytes = frame_bytes(self.paths, [index.size for index in indexes])
        self._features = [_feature(parts, self._bytes.starts, usable) for parts in columns.values()]
        self.dtype = dtype
        self.features = {
            name: _numbers(name, found.width, dtype)
            for name, found in zip(features, self._features, strict=True)
        }
        counts = zip(usable.by_shard(), zip(*columns.values(), strict=True), strict=True)
        shortest = (np.min([part.count[kept] for part in parts], axis=0) for kept, parts in counts)
        self.lengths = torch.from_numpy(joined(len(usable.kept), np.int64, shortest))
        self._usual_size = int(self.lengths.double().mean()) * sum(f.width for f in self._features)
        self.fingerprint = self._digest(indexes, usable.kept)

    def _digest(self, indexes: Sequence[ShardIndex], kept: Ints) -> str:
        about = [self.features, self.codec, self.labels.count, [index.content for index in indexes]]
        if self.dtype != torch.uint8:
            about.append(str(self.dtype))
        digest = blake2b(repr(about).encode(), digest_size=16)
        digest.update(kept.data)
        return digest.hexdigest()

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Gathers frames as stored, (B, S, D), zero where there is none.

        `DataError` if a shard changed.
        """
        self._bytes.check()
        return super().read(videos, frames, out)

    def _effort(self, videos: int, size: int) -> int:
        return self._bytes.effort(size, videos * self._usual_size)

    def _fill(self, which: Ints, times: Ints, out: NDArray[Any]) -> None:
        """Reads the frames of some videos of a batch."""
        out = out.view(np.uint8)
        kept = times >= 0
        if not kept.any():
            out[...] = 0
            return
        rows, at = out.reshape(kept.size, out.shape[2]), 0
        with self._bytes.reading(Wanted(self._features, which, times, kept)) as ready:
            for feature in self._features:
                starts = feature.starts(ready.which[:, None], ready.times) + ready.moved[:, None]
                gather(ready.memory, starts.ravel(), rows[:, at : at + feature.width])
                at += feature.width
        if not kept.all():
            out[~kept] = 0


def _feature(parts: Sequence[Column], starts: Ints, usable: Validator) -> Feature:
    listed = np.cumsum([0, *(len(part.loose) for part in parts)]).tolist()

    def bases() -> Iterator[Ints]:
        for part, start, before, kept in zip(
            parts, starts.tolist(), listed, usable.by_shard(), strict=False
        ):
            yield part.base[kept] + np.where(part.stride[kept] == 0, before, start)

    count = len(usable.kept)
    strides = (part.stride[kept] for part, kept in zip(parts, usable.by_shard(), strict=True))
    loose = (part.loose + start for part, start in zip(parts, starts.tolist(), strict=True))
    return Feature(
        next(
            int(part.width[kept[0]])
            for part, kept in zip(parts, usable.by_shard(), strict=True)
            if len(kept)
        ),
        joined(count, np.int64, bases()),
        joined(count, np.int32, strides),
        joined(listed[-1], np.int64, loose),
    )


def _numbers(name: str, width: int, dtype: torch.dtype) -> int:
    """Returns how many numbers so many bytes are."""
    numbers, rest = divmod(width, dtype.itemsize)
    if rest:
        raise DataError(
            f"frames of list {name!r} have {width} bytes, which are no numbers of {dtype.itemsize}"
            " bytes each"
        )
    return numbers


def _column(index: ShardIndex, name: str) -> Column:
    """Returns a list's column, one of missing lists where a shard has none of that name."""
    none = np.zeros(len(index), np.int32)
    missing = Column(
        none.astype(np.int64), none, none + np.int32(Fault.MISSING), none, np.zeros(0, np.int64)
    )
    return index.columns.get(name, missing)


def _labels(indexes: Sequence[ShardIndex], usable: Validator, count: int | None) -> Labels:
    sizes = joined(
        len(usable.kept),
        np.int64,
        (_label_counts(index)[kept] for index, kept in _both(indexes, usable)),
    )
    offsets = joined(len(sizes) + 1, np.int64, running_sums(sizes))
    classes = joined(
        int(offsets[-1]),
        np.int64,
        (_labels_of(index, kept) for index, kept in _both(indexes, usable)),
    )
    highest = int(classes.max(initial=-1))
    limit = MOST_CLASSES if count is None else count
    if highest >= limit:
        video = int(np.searchsorted(offsets, int(np.argmax(classes >= limit)), side="right")) - 1
        raise DataError(
            f"{usable.where(int(usable.kept[video]))} has the label {highest}, but there are"
            f" {limit} classes at most: give the right vocabulary or set `classes`"
        )
    count = highest + 1 if count is None else count
    return Labels(torch.from_numpy(offsets), torch.from_numpy(classes), count)


def _both(indexes: Sequence[ShardIndex], usable: Validator) -> Iterator[tuple[ShardIndex, Ints]]:
    return zip(indexes, usable.by_shard(), strict=True)


def _label_counts(index: ShardIndex) -> Ints:
    return np.diff(index.label_ends, prepend=0)


def _labels_of(index: ShardIndex, kept: Ints) -> NDArray[np.int32]:
    """Returns the labels of some videos of a shard, behind one another."""
    chosen = np.zeros(len(index), np.bool_)
    chosen[kept] = True
    return index.labels[np.repeat(chosen, _label_counts(index))]
