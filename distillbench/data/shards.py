"""Videos in frame-level TFRecord shards, indexed once and then gathered straight from the memory-mapped files."""

from __future__ import annotations

import glob
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.data.arena import Arena
from distillbench.data.ids import Ids
from distillbench.data.index import Column, ShardIndex
from distillbench.data.lockstep import Ints
from distillbench.data.sequence_example import VIDEO_LEVEL, Fault
from distillbench.data.sidecar import shard_indexes
from distillbench.errors import DataError, RecordError
from distillbench.interfaces import Codec, Labels, Videos

_LOG = logging.getLogger(__name__)
_MOST_CLASSES = 1_000_000
_RUN = 8  # frames; from here on copying a run of frames at once beats gathering them one by one


def find_shards(pattern: str) -> list[Path]:
    """Finds shards by a glob pattern, or every `*.tfrecord` under a folder; sorted. Raises `DataError` for none."""
    place = Path(pattern).expanduser()
    if place.is_dir():
        found = [path for path in place.rglob("*.tfrecord") if not path.name.startswith(".")]
        if not found:
            raise DataError(f"{pattern}: no *.tfrecord in this folder or below it")
    else:
        found = [path for path in map(Path, glob.glob(str(place), recursive=True)) if path.is_file()]
        if not found:
            raise DataError(f"{pattern}: no such folder, and no file matches it as a pattern")
    return sorted(found)


@dataclass(frozen=True)
class _Feature:
    """Where the frames of one feature lie in the arena, for V videos; `Column` says how."""

    width: int
    base: Tensor
    stride: Tensor
    loose: Tensor


class ShardVideos(Videos):
    """All videos of some shards.

    A video is as long as the shortest of the features asked for. `shard_of` (V,) is the number of each video's shard in
    `paths`. `skipped` counts the records that were left out, by reason.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        features: Sequence[str],
        *,
        classes: int | None = None,
        class_names: Sequence[str] | None = None,
        skip_bad_records: bool = False,
        needs_labels: bool = True,
        codec: Codec | None = None,
    ) -> None:
        """Opens the shards, indexing those that are new.

        features: names of lists, in the order they are to be joined. classes: how many there are; by default the names,
        or else one more than the highest label. Raises `DataError`, and `RecordError` for the first bad record unless
        these are to be skipped.
        """
        indexes = shard_indexes(paths)
        self.paths = tuple(paths)
        self.skipped: Mapping[str, int] = {}
        usable = _Sieve(self.paths, indexes, skip_bad_records)
        columns = [[_column(index, name) for index in indexes] for name in features]
        usable.drop_bad_records()
        for name, parts in zip(features, columns, strict=True):
            usable.drop_faulty(name, parts)
        if needs_labels:
            usable.drop_unlabelled()
        ids = usable.drop_repeated()
        self.skipped = usable.report()
        kept = usable.kept
        self.ids: Sequence[str] = ids
        self.shard_of = np.repeat(np.arange(len(indexes), dtype=np.int32), [len(index) for index in indexes])[kept]
        self.codec = codec or Codec()
        self.class_names = class_names
        self.labels = _labels(self.paths, indexes, usable, classes or (len(class_names) if class_names else None))
        self._arena = Arena(self.paths, [index.size for index in indexes])
        self._features = [_feature(parts, self._arena.starts, kept, indexes) for parts in columns]
        self.features = {name: found.width for name, found in zip(features, self._features, strict=True)}
        counts = np.stack([np.concatenate([part.count for part in parts])[kept] for parts in columns])
        self.lengths = torch.from_numpy(counts.min(0).astype(np.int64))
        self.fingerprint = self._digest(indexes, kept)

    def _digest(self, indexes: Sequence[ShardIndex], kept: Ints) -> str:
        about = [self.features, self.codec, self.labels.count, [index.content for index in indexes]]
        return blake2b(repr(about).encode() + kept.tobytes(), digest_size=16).hexdigest()

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Gathers frames as stored, (B, S, D) uint8, zero where there is none; `DataError` if a shard changed."""
        self._arena.check()
        kept = frames >= 0
        if bool((frames >= self.lengths[videos][:, None]).any()):
            raise IndexError("a frame was asked for that its video does not have")
        shape = (*frames.shape, self.width)
        if out is None:
            out = torch.empty(shape, dtype=torch.uint8)
        elif out.shape != shape or out.dtype != torch.uint8 or not out.is_contiguous():
            raise ValueError(f"out must be a contiguous uint8 tensor of shape {shape}, not {tuple(out.shape)}")
        if frames.shape[1] >= _RUN and _are_runs(frames, kept):
            self._read_runs(videos, frames, kept, out)
        else:
            self._gather(videos, frames, kept, out)
        return out

    def _gather(self, videos: Tensor, frames: Tensor, kept: Tensor, out: Tensor) -> None:
        rows = out.view(-1, self.width)
        at = 0
        for feature in self._features:
            starts = _starts(feature, videos, frames.clamp_min(0)).view(-1)
            into = rows[:, at : at + feature.width]
            torch.index_select(self._arena.windows(feature.width), 0, starts, out=into)
            at += feature.width
        if not bool(kept.all()):
            out[~kept] = 0

    def _read_runs(self, videos: Tensor, frames: Tensor, kept: Tensor, out: Tensor) -> None:
        counts = kept.sum(1).tolist()
        firsts = frames[:, 0].clamp_min(0)
        arena, target = self._arena.bytes.numpy(), out.numpy()
        at = 0
        for feature in self._features:
            width = feature.width
            bases, strides = feature.base[videos], feature.stride[videos].to(torch.int64)
            starts = (bases + strides * firsts).tolist()
            for row, (start, stride, count) in enumerate(zip(starts, strides.tolist(), counts, strict=True)):
                into = target[row, :count, at : at + width]
                if stride:
                    into[...] = np.ndarray((count, width), np.uint8, arena, start, (stride, 1))
                else:
                    loose = _starts(feature, videos[row : row + 1], frames[row : row + 1, :count])
                    into[...] = self._arena.windows(width)[loose[0]].numpy()
            at += width
        for row, count in enumerate(counts):
            target[row, count:] = 0


def _starts(feature: _Feature, videos: Tensor, frames: Tensor) -> Tensor:
    """Returns where frames (B, S) begin in the arena."""
    base, stride = feature.base[videos][:, None], feature.stride[videos][:, None]
    starts = base + stride * frames
    if len(feature.loose):
        listed = (stride == 0).expand_as(frames)
        starts[listed] = feature.loose[(base + frames)[listed]]
    return starts


def _are_runs(frames: Tensor, kept: Tensor) -> bool:
    """Tells whether each row is frames f, f + 1, f + 2 and so on, and then nothing."""
    step = frames[:, 1:] - frames[:, :-1]
    return bool(((step == 1) & kept[:, :-1] | ~kept[:, 1:]).all())


def _feature(parts: Sequence[Column], starts: Ints, kept: Ints, indexes: Sequence[ShardIndex]) -> _Feature:
    bases, loose, listed = [], [], 0
    for column, start in zip(parts, starts.tolist(), strict=True):
        bases.append(np.where(column.stride == 0, column.base + listed, column.base + start))
        loose.append(column.loose + start)
        listed += len(column.loose)
    width = int(np.concatenate([part.width for part in parts])[kept[0]])
    return _Feature(
        width,
        torch.from_numpy(np.concatenate(bases)[kept]),
        torch.from_numpy(np.concatenate([part.stride for part in parts])[kept]),
        torch.from_numpy(np.concatenate(loose)),
    )


def _column(index: ShardIndex, name: str) -> Column:
    """Returns a list's column, one of missing lists where a shard has none of that name."""
    none = np.zeros(len(index), np.int32)
    missing = Column(none.astype(np.int64), none, none + np.int32(Fault.MISSING), none, np.zeros(0, np.int64))
    return index.columns.get(name, missing)


def _labels(paths: Sequence[Path], indexes: Sequence[ShardIndex], usable: _Sieve, count: int | None) -> Labels:
    sizes = np.concatenate([np.diff(index.label_ends, prepend=0) for index in indexes])
    classes = np.concatenate([index.labels for index in indexes]).astype(np.int64)
    if len(usable.kept) < len(sizes):
        chosen = np.zeros(len(sizes), np.bool_)
        chosen[usable.kept] = True
        classes, sizes = classes[np.repeat(chosen, sizes)], sizes[usable.kept]
    highest = int(classes.max(initial=-1))
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    limit = _MOST_CLASSES if count is None else count
    if highest >= limit:
        video = int(np.searchsorted(offsets, int(np.argmax(classes >= limit)), side="right")) - 1
        raise DataError(
            f"{usable.where(int(usable.kept[video]))} has the label {highest}, but there are {limit} classes at most: "
            "give the right vocabulary or set `classes`"
        )
    return Labels(torch.from_numpy(offsets), torch.from_numpy(classes), highest + 1 if count is None else count)


class _Sieve:
    """Finds the videos of some shards that can be used; the rest is an error, or counted where it may be skipped.

    kept: (V,) numbers of the usable videos among all videos of all shards.
    """

    def __init__(self, paths: Sequence[Path], indexes: Sequence[ShardIndex], skip: bool) -> None:
        self._paths, self._indexes, self._skip = paths, indexes, skip
        self._ends = np.cumsum([len(index) for index in indexes])
        self._reasons: Counter[str] = Counter()
        self.kept = np.arange(self._ends[-1], dtype=np.int64)

    def where(self, video: int) -> str:
        """Names a video and its shard, for an error."""
        shard = int(np.searchsorted(self._ends, video, side="right"))
        index = self._indexes[shard]
        return f"{self._paths[shard]}: video {index.id(video - int(self._ends[shard]) + len(index))!r}"

    def drop_bad_records(self) -> None:
        """Leaves out what the index could not read; it is in no index, so that only counting it is left to do."""
        for path, index in zip(self._paths, self._indexes, strict=True):
            if index.bad and not self._skip:
                offset, reason = index.bad[0]
                if reason.startswith(VIDEO_LEVEL):
                    raise DataError(f"{path}: {reason}")
                raise RecordError(str(path), offset, reason)
            self._reasons.update(reason for _, reason in index.bad)

    def drop_faulty(self, name: str, parts: Sequence[Column]) -> None:
        """Leaves out videos whose list `name` is missing, empty, unusable or of another width than the first one's."""
        count = np.concatenate([part.count for part in parts])
        width = np.concatenate([part.width for part in parts])
        base = np.concatenate([part.base for part in parts])

        def fault(video: int) -> str:
            if count[video] < 0:
                lists = ", ".join(sorted({key for index in self._indexes for key in index.columns}))
                return f"{Fault(int(count[video])).sentence(name, int(base[video]))} (lists found: {lists})"
            return f"its list {name!r} is empty"

        self._drop(count > 0, fault)
        if len(self.kept):
            first = int(self.kept[0])
            self._drop(
                width == width[first],
                lambda video: (
                    f"its list {name!r} is {width[video]} wide, where that of {self.where(first)} is {width[first]}"
                ),
            )

    def drop_unlabelled(self) -> None:
        """Leaves out videos without labels, and those of a shard in which no video has any."""
        labelled = [index.labelled & bool(len(index.labels)) for index in self._indexes]
        self._drop(np.concatenate(labelled), lambda _: "it has no labels, and they are needed")

    def drop_repeated(self) -> Ids:
        """Leaves out videos whose id occurred before; returns the ids of those that are kept."""
        self._require_some()
        ids = Ids.joined([(index.ids, index.id_ends) for index in self._indexes]).take(self.kept)
        again = ids.repeated()
        if not len(again):
            return ids
        unique = np.ones(self._ends[-1], np.bool_)
        unique[self.kept[again]] = False
        self._drop(unique, lambda _: "its id occurs before; ids must be unique over all shards of a data set")
        fresh = np.ones(len(ids), np.bool_)
        fresh[again] = False
        return ids.take(np.flatnonzero(fresh))

    def report(self) -> dict[str, int]:
        """Returns the reasons why records were left out, with their counts, and logs them."""
        if self._reasons:
            why = "; ".join(f"{count} x {reason}" for reason, count in self._reasons.most_common(5))
            _LOG.warning("left out %d bad records of %d shards: %s", self._reasons.total(), len(self._paths), why)
        return dict(self._reasons)

    def _drop(self, good: NDArray[np.bool_], reason: Any) -> None:
        bad = self.kept[~good[self.kept]]
        if not len(bad):
            return
        if not self._skip:
            raise DataError(f"{self.where(int(bad[0]))}: {reason(int(bad[0]))}")
        self._reasons.update(reason(int(video)) for video in bad)
        self.kept = self.kept[good[self.kept]]

    def _require_some(self) -> None:
        if not len(self.kept):
            why = "; ".join(f"{count} x {reason}" for reason, count in self._reasons.most_common(3)) or "they are empty"
            raise DataError(f"no usable video in {len(self._paths)} shard(s) beginning with {self._paths[0]}: {why}")
