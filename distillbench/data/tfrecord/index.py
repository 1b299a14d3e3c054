"""The index of one shard.

Where every frame of every video lies, found in one pass that verifies every byte.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distillbench.data.places import Place
from distillbench.data.remote.path import RemotePath
from distillbench.data.remote.remote_files import streamed
from distillbench.data.tfrecord.batch_parser import (
    MISSING,
    MOST_LISTS,
    BatchParser,
    Block,
    Ints,
    ranges,
)
from distillbench.data.tfrecord.framing import Record, damaged, records
from distillbench.data.tfrecord.sequence_example import (
    Fault,
    Parsed,
    WireError,
    parse,
    same_headers,
)
from distillbench.errors import DataError

Shorts = NDArray[np.int32]

_BLOCK = 64 << 20  # bytes that are parsed at once: so many that numpy's cost a call does not matter
_BLOCK_RECORDS = 4096


class Bad(NamedTuple):
    """A record that cannot be used: where it begins in the file, and why."""

    offset: int
    reason: str


@dataclass(frozen=True)
class Column:
    """One list of frames in each of the V videos of a shard, as `FrameList` describes it.

    Where stride is 0, base is the place in `loose` of the first of `count` beginnings. A negative
    count is a `Fault`.
    """

    base: Ints
    stride: Shorts
    count: Shorts
    width: Shorts
    loose: Ints


@dataclass(frozen=True)
class ShardIndex:
    """What is known of a shard of V videos.

    starts, sizes: (V,) where each record's payload begins in the file, and its bytes.
    ids, id_ends: the ids, UTF-8, one after the other; (V,) where each ends.
    labelled: (V,) whether a record has labels at all.
    labels, label_ends: compressed rows like the ids.
    columns: by the list's name.
    bad: the records left out.
    content: a digest of the checksums of all records.
    size: bytes of the file.
    """

    starts: Ints
    sizes: Ints
    ids: NDArray[np.uint8]
    id_ends: Ints
    labelled: NDArray[np.bool_]
    labels: Shorts
    label_ends: Ints
    columns: Mapping[str, Column]
    bad: tuple[Bad, ...]
    content: str
    size: int

    def __len__(self) -> int:
        return len(self.starts)

    def id(self, video: int) -> str:
        """Returns one video's id."""
        first = int(self.id_ends[video - 1]) if video else 0
        return self.ids[first : int(self.id_ends[video])].tobytes().decode()


def index_shard(path: Place) -> ShardIndex:
    """Reads a whole shard and returns its index; bad records are noted in it, never raised.

    Raises `DataError` where the file cannot be opened or is empty.
    """
    if isinstance(path, RemotePath):
        if not path.version().size:
            raise _empty(path)
        return _Builder(streamed(path).data).build()
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if not size:
                raise _empty(path)
            with (
                mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as mapped,
                memoryview(mapped) as data,
            ):
                return _Builder(data).build()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def _empty(path: Place) -> DataError:
    return DataError(f"{path}: the file is empty; a shard holds at least one record")


class _Builder:
    """Collects a shard's records, block by block."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._lockstep = BatchParser(data)
        self._names: set[str] = set()
        self._loose: dict[str, list[int]] = {}
        self._blocks: list[_Sound] = []
        self._bad: list[Bad] = []

    def build(self) -> ShardIndex:
        content = blake2b(digest_size=16)
        waiting: list[Record] = []
        held = 0
        for record in records(self._data):
            content.update(record.checksum.to_bytes(4, "little"))
            if record.problem is not None:
                self._bad.append(Bad(record.offset, record.problem))
                continue
            waiting.append(record)
            held += record.stop - record.start
            if held >= _BLOCK or len(waiting) >= _BLOCK_RECORDS:
                self._add(waiting)
                waiting, held = [], 0
        self._add(waiting)
        return self._index(content.hexdigest())

    def _add(self, found: list[Record]) -> None:
        """Adds sound records, those that do not parse to the bad ones."""
        spans = np.array([(record.start, record.stop) for record in found], np.int64).reshape(-1, 2)
        block = self._lockstep.parse(spans[:, 0], spans[:, 1])
        self._names.update(block.lists)
        sound = self._verify(found, block)
        labels = [block.labels[block.parsed[block.labels >> 32]]]
        for row in np.flatnonzero(sound & ~block.parsed).tolist():
            try:
                parsed = parse(self._data, found[row].start, found[row].stop)
                self._put(block, row, parsed)
            except WireError as error:
                self._bad.append(Bad(found[row].offset, str(error)))
            else:
                labels.append(
                    np.array([row << 32 | label for label in parsed.labels or ()], np.int64)
                )
        block.labels = np.sort(np.concatenate(labels))
        self._blocks.append(_Sound.of(block, spans, self._data))

    def _verify(self, found: list[Record], block: Block) -> NDArray[np.bool_]:
        """Reads every byte of the records and tells which are sound, (N,).

        Compares headers while they are in the cache.
        """
        sound = np.ones(len(found), np.bool_)
        columns = [column.tolist() for column in block.lists.values()]
        for row, record in enumerate(found):
            problem = damaged(self._data, record)
            if problem is not None:
                self._bad.append(Bad(record.offset, problem))
                sound[row] = block.parsed[row] = False
                continue
            if block.parsed[row]:
                block.parsed[row] = all(self._alike(*column[row]) for column in columns)
        return sound

    def _alike(self, frames: int, _: int, base: int, stride: int, header: int) -> bool:
        return frames < 2 or same_headers(self._data, base - header, frames, stride, header)

    def _put(self, block: Block, row: int, parsed: Parsed) -> None:
        names = self._names | parsed.lists.keys()
        if len(names) > MOST_LISTS:
            raise WireError(f"with it the shard has more than {MOST_LISTS} different lists")
        self._names = names
        for column in block.lists.values():
            column[row] = MISSING
        for name, frames in parsed.lists.items():
            loose = self._loose.setdefault(name, [])
            base = frames.base if frames.loose is None else len(loose)
            loose.extend(frames.loose or ())
            block.column(name)[row] = frames.frames, frames.width, base, frames.stride, 0
        block.parsed[row] = True
        block.ids[row] = parsed.id
        block.labelled[row] = parsed.labels is not None

    def _index(self, content: str) -> ShardIndex:
        blocks = self._blocks
        spans = np.concatenate([block.spans for block in blocks])
        names = sorted({name for block in blocks for name in block.lists})
        return ShardIndex(
            starts=spans[:, 0].copy(),
            sizes=spans[:, 1] - spans[:, 0],
            ids=np.concatenate([block.ids for block in blocks]),
            id_ends=np.cumsum(np.concatenate([block.id_sizes for block in blocks])),
            labelled=np.concatenate([block.labelled for block in blocks]),
            labels=np.concatenate([block.labels for block in blocks]),
            label_ends=np.cumsum(np.concatenate([block.label_counts for block in blocks])),
            columns={name: self._column(name) for name in names},
            bad=tuple(sorted(self._bad)),
            content=content,
            size=len(self._data),
        )

    def _column(self, name: str) -> Column:
        parts = [
            block.lists.get(name, np.tile(MISSING, (len(block.spans), 1))) for block in self._blocks
        ]
        rows = np.concatenate(parts)
        count, width, stride = np.ascontiguousarray(rows[:, [0, 1, 3]].T, np.int32)
        return Column(
            rows[:, 2].copy(), stride, count, width, np.array(self._loose.get(name, ()), np.int64)
        )


@dataclass(frozen=True)
class _Sound:
    """The records of a block that could be parsed, with their ids and labels behind one another."""

    spans: Ints
    ids: NDArray[np.uint8]
    id_sizes: Ints
    labelled: NDArray[np.bool_]
    labels: Shorts
    label_counts: Ints
    lists: dict[str, Ints]

    @classmethod
    def of(cls, block: Block, spans: Ints, data: memoryview) -> _Sound:
        kept = block.parsed
        ids = block.ids[kept]
        lists = {name: column[kept] for name, column in block.lists.items()}
        return cls(
            spans=spans[kept],
            ids=np.frombuffer(data, np.uint8)[ranges(*ids.T)],
            id_sizes=ids[:, 1] - ids[:, 0],
            labelled=block.labelled[kept],
            labels=(block.labels & 0xFFFFFFFF).astype(np.int32),
            label_counts=np.bincount(block.labels >> 32, minlength=len(kept))[kept],
            lists={
                name: column
                for name, column in lists.items()
                if (column[:, 0] != Fault.MISSING).any()
            },
        )
