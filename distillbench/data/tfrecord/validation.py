"""Leaves out the videos of shards that cannot be used, and counts why."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from distillbench.data.ids import Ids
from distillbench.data.memory.scratch_arrays import joined, steps, taken
from distillbench.data.naming import enumerated
from distillbench.data.places import Place
from distillbench.data.tfrecord.index import Column, ShardIndex
from distillbench.data.tfrecord.sequence_example import VIDEO_LEVEL, Fault
from distillbench.errors import DataError, RecordError

_LOG = logging.getLogger(__name__)


class Validator:
    """Finds the videos of some shards that can be used.

    The rest is an error, or counted where it may be skipped.

    kept: (V,) numbers of the usable videos among all videos of all shards.
    """

    def __init__(self, paths: Sequence[Place], indexes: Sequence[ShardIndex], skip: bool) -> None:
        self._paths, self._indexes, self._skip = paths, indexes, skip
        self._ends = np.cumsum([len(index) for index in indexes])
        self._reasons: Counter[str] = Counter()
        count = int(self._ends[-1])
        self.kept = joined(
            count, np.int64, (np.arange(step.start, step.stop) for step in steps(count))
        )

    def where(self, video: int) -> str:
        """Names a video and its shard, for an error."""
        shard = int(np.searchsorted(self._ends, video, side="right"))
        index = self._indexes[shard]
        return (
            f"{self._paths[shard]}: video {index.id(video - int(self._ends[shard]) + len(index))!r}"
        )

    def validate(self, columns: Mapping[str, Sequence[Column]], needs_labels: bool) -> Ids:
        """Leaves out all that cannot be used, or raises for the first such.

        Returns the ids of the rest.

        columns: of each list that is needed, a column a shard.
        """
        self._drop_bad_records()
        for name, parts in columns.items():
            self._drop_faulty(name, parts)
        if needs_labels:
            self._drop_unlabelled()
        self._require_some()
        return self._drop_repeated()

    def shards(self) -> NDArray[np.int32]:
        """Returns the number of each kept video's shard, (V,)."""
        pieces = (np.full(len(kept), shard) for shard, kept in enumerate(self.by_shard()))
        return joined(len(self.kept), np.int32, pieces)

    def by_shard(self) -> Iterator[NDArray[np.int64]]:
        """Yields the numbers of each shard's kept videos among all of that shard."""
        bounds = np.searchsorted(self.kept, [0, *self._ends]).tolist()
        for first, stop, end, index in zip(
            bounds, bounds[1:], self._ends.tolist(), self._indexes, strict=False
        ):
            yield self.kept[first:stop] - (end - len(index))

    def _drop_bad_records(self) -> None:
        """Leaves out what the index could not read.

        It is in no index, so that only counting it is left to do.
        """
        for path, index in zip(self._paths, self._indexes, strict=True):
            if index.bad and not self._skip:
                offset, reason = index.bad[0]
                if reason.startswith(VIDEO_LEVEL):
                    raise DataError(f"{path}: {reason}")
                raise RecordError(str(path), offset, reason)
            self._reasons.update(reason for _, reason in index.bad)

    def _drop_faulty(self, name: str, parts: Sequence[Column]) -> None:
        """Leaves out videos whose list `name` cannot be used.

        It is missing, empty, unusable, or of another width than the first video's.
        """
        videos = int(self._ends[-1])
        count = joined(videos, np.int32, (part.count for part in parts))
        width = joined(videos, np.int32, (part.width for part in parts))
        base = joined(videos, np.int64, (part.base for part in parts))

        def fault(video: int) -> str:
            if count[video] < 0:
                lists = enumerated(
                    sorted({key for index in self._indexes for key in index.columns})
                )
                return (
                    f"{Fault(int(count[video])).sentence(name, int(base[video]))} (lists found:"
                    f" {lists})"
                )
            return f"its list {name!r} is empty"

        self._drop(count > 0, fault)
        if len(self.kept):
            first = int(self.kept[0])
            self._drop(
                width == width[first],
                lambda video: (
                    f"its list {name!r} is {width[video]} wide, where that of {self.where(first)}"
                    f" is {width[first]}"
                ),
            )

    def _drop_unlabelled(self) -> None:
        """Leaves out videos without labels, and those of a shard in which no video has any."""
        labelled = [index.labelled & bool(len(index.labels)) for index in self._indexes]
        self._drop(np.concatenate(labelled), lambda _: "it has no labels, and they are needed")

    def _drop_repeated(self) -> Ids:
        """Leaves out videos whose id occurred before; returns the ids of those that are kept."""
        ids = Ids.joined([(index.ids, index.id_ends) for index in self._indexes])
        if len(self.kept) < len(ids):
            ids = ids.take(self.kept)
        again = ids.repeated()
        if not len(again):
            return ids
        unique = np.ones(self._ends[-1], np.bool_)
        unique[self.kept[again]] = False
        self._drop(
            unique,
            lambda _: "its id occurs before; ids must be unique over all shards of a data set",
        )
        fresh = np.ones(len(ids), np.bool_)
        fresh[again] = False
        return ids.take(np.flatnonzero(fresh))

    def report(self) -> dict[str, int]:
        """Returns the reasons why records were left out, with their counts, and logs them."""
        if self._reasons:
            why = "; ".join(f"{count} x {reason}" for reason, count in self._reasons.most_common(5))
            _LOG.warning(
                "left out %d bad records of %d shards: %s",
                self._reasons.total(),
                len(self._paths),
                why,
            )
        return dict(self._reasons)

    def _drop(self, good: NDArray[np.bool_], reason: Callable[[int], str]) -> None:
        sound = good[self.kept]
        bad = self.kept[~sound]
        if not len(bad):
            return
        if not self._skip:
            raise DataError(f"{self.where(int(bad[0]))}: {reason(int(bad[0]))}")
        self._reasons.update(reason(int(video)) for video in bad)
        self.kept = taken(self.kept, np.flatnonzero(sound))

    def _require_some(self) -> None:
        if not len(self.kept):
            why = (
                "; ".join(f"{count} x {reason}" for reason, count in self._reasons.most_common(3))
                or "they are empty"
            )
            raise DataError(
                f"no usable video in {len(self._paths)} shard(s) beginning with {self._paths[0]}:"
                f" {why}"
            )
