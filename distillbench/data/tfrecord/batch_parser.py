"""Parses many records in step, one numpy operation for all of them at a time.

Only what writers really produce is understood: context before lists, every key once, one value a
frame, every frame of a list encoded alike, one string at most or packed numbers in any other key of
the context. All other records are left, by number, to the general parser; the two agree wherever
both succeed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from distillbench.data.tfrecord.sequence_example import LONGEST_ID, Fault

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
Step = tuple[Ints, Ints, Ints, Ints, Ints]

_CONTEXT, _LISTS = 0x0A, 0x12  # tags of fields 1 and 2, and of an entry's key and value
_FIRST, _FLOATS, _INTEGERS = 0x0A, 0x12, 0x1A
_LONGEST_HEADER = 16
_LONGEST_KEY = 31
_MOST_ENTRIES = 64
_MOST_NUMBERS = 1024  # bytes of packed integers: taking them apart takes many times as much memory
MOST_LISTS = 256
"""How many differently named lists a shard may have."""
MISSING = np.array([Fault.MISSING, 0, 0, 0, 0], np.int64)
"""The row of a record that has no list of a name."""
_ID, _VIDEO_ID, _LABELS = (b"id", b"video_id", b"labels")


@dataclass
class Block:
    """What was found in N records.

    parsed: (N,) whether a record was understood; the rest is void where it was not.

    ids: (N, 2) span of each id in the file.
    labelled: (N,).
    labels: ascending, record << 32 | label, no repetition.
    lists: by name, (N, 5) of `FrameList`'s frames, width, base and stride, and of the bytes that
        come before each frame's own: these are as expected in the first frame and are still to be
        compared in the others (`same_headers`).
    """

    parsed: NDArray[np.bool_]
    ids: Ints
    labelled: NDArray[np.bool_]
    labels: Ints
    lists: dict[str, Ints] = field(default_factory=dict)

    def column(self, name: str) -> Ints:
        """Returns the rows of a list, made if there are none yet."""
        if name not in self.lists:
            self.lists[name] = np.tile(MISSING, (len(self.parsed), 1))
        return self.lists[name]


class BatchParser:
    """Parses records of one shard. `data` is the whole file."""

    def __init__(self, data: memoryview) -> None:
        self._bytes = np.frombuffer(data, np.uint8)
        self._words: Words = np.ndarray((max(len(data) - 7, 0),), "<u8", data, strides=(1,))
        self._names: list[tuple[Words, str]] = []

    def parse(self, starts: Ints, stops: Ints) -> Block:
        """Parses the records that fill bytes [starts, stops)."""
        count = len(starts)
        self._ok = stops + _LONGEST_HEADER + 8 <= len(self._bytes)
        block = Block(
            self._ok,
            np.zeros((count, 2), np.int64),
            np.zeros(count, np.bool_),
            np.zeros(0, np.int64),
        )
        rows = np.flatnonzero(self._ok)
        starts, stops = starts[rows], stops[rows]
        context, context_end = self._open(rows, starts, stops, _CONTEXT)
        lists, lists_end = self._open(rows, context_end, stops, _LISTS)
        self._require(rows, lists_end == stops)
        self._read_context(block, rows, context, context_end)
        self._read_lists(block, rows, lists, lists_end)
        frames = [column[:, 0] for column in block.lists.values()]
        self._ok &= np.any([each > 0 for each in frames], axis=0) if frames else False
        block.labels = block.labels[self._ok[block.labels >> 32]]
        return block

    # ---------------------------------------------------------------------------------- the context

    def _read_context(self, block: Block, rows: Ints, at: Ints, end: Ints) -> None:
        spans = {
            key: np.full((len(block.parsed), 2), -1, np.int64) for key in (_ID, _VIDEO_ID, _LABELS)
        }
        for some, key, key_end, value, value_end in self._entries(rows, at, end):
            self._require(some, key_end - key <= _LONGEST_KEY)
            self._require_ascii(some[self._ok[some]], np.stack([key, key_end], 1)[self._ok[some]])
            self._require_feature(some, value, value_end)
            for name, span in spans.items():
                here = self._equals(key, key_end, name)
                self._require(some[here], span[some[here], 0] < 0)
                span[some[here]] = np.stack([value[here], value_end[here]], 1)
        spans[_ID] = np.where(spans[_ID] < 0, spans[_VIDEO_ID], spans[_ID])
        self._require(rows, spans[_ID][rows, 0] >= 0)
        rows = rows[self._ok[rows]]
        value, end = self._open(rows, spans[_ID][rows, 0], spans[_ID][rows, 1], _FIRST, exact=True)
        value, end = self._open(rows, value, end, _FIRST, exact=True)
        self._require(rows, end - value <= LONGEST_ID)
        good = self._ok[rows]
        rows = rows[good]
        block.ids[rows] = np.stack([value[good], end[good]], 1)
        self._require_ascii(rows, block.ids[rows])
        block.labelled[:] = spans[_LABELS][:, 0] >= 0
        self._read_labels(block, spans[_LABELS])

    def _require_feature(self, rows: Ints, at: Ints, end: Ints) -> None:
        """Leaves out all but a `Feature` that is empty or holds one list.

        The list holds one string, or packed numbers.
        """
        some = at < end
        rows, at, end = rows[some], at[some], end[some]
        kind = self._bytes[at]
        self._require(rows, (kind == _FIRST) | (kind == _FLOATS) | (kind == _INTEGERS))
        body, end = self._open(rows, at, end, kind, exact=True)
        some = body < end
        rows, kind = rows[some], kind[some]
        values, end = self._open(rows, body[some], end[some], _FIRST, exact=True)
        self._require(rows, (kind != _FLOATS) | ((end - values) % 4 == 0))
        self._integers(*(each[kind == _INTEGERS] for each in (rows, values, end)))

    def _read_labels(self, block: Block, spans: Ints) -> None:
        rows = np.flatnonzero(self._ok & (spans[:, 1] > spans[:, 0]))
        values, end = self._open(rows, spans[rows, 0], spans[rows, 1], _INTEGERS, exact=True)
        some = values < end
        rows = rows[some]
        values, end = self._open(rows, values[some], end[some], _FIRST, exact=True)
        of, packed, place, first = self._integers(rows, values, end)
        self._require(of, place < 5)
        labels = (
            np.add.reduceat((packed & 127) << (7 * np.minimum(place, 5)), first)
            if len(first)
            else first
        )
        self._require(of[first], labels < 2**31)
        block.labels = np.unique(of[first] << 32 | np.minimum(labels, 2**31))

    def _integers(self, rows: Ints, values: Ints, end: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """Takes packed integers apart, requiring each to be whole and of 64 bits.

        Returns of each byte its record, its value and its place in its integer; and which bytes are
        an integer's first.
        """
        self._require(
            rows, (end - values <= _MOST_NUMBERS) & (self._bytes[np.maximum(end - 1, values)] < 128)
        )
        good = self._ok[rows] & (values < end)
        rows, values, end = rows[good], values[good], end[good]
        packed = self._bytes[ranges(values, end)].astype(np.int64)
        of = np.repeat(rows, end - values)
        first = (
            np.flatnonzero(np.concatenate([[True], packed[:-1] < 128]))
            if len(packed)
            else np.zeros(0, np.int64)
        )
        place = np.arange(len(packed)) - np.repeat(first, np.diff(first, append=len(packed)))
        self._require(of, (place < 9) | ((place == 9) & (packed < 2)))
        return of, packed, place, first

    def _require_ascii(self, rows: Ints, spans: Ints) -> None:
        high = self._bytes[ranges(*spans.T)] > 127
        if high.any():
            self._ok[np.repeat(rows, spans[:, 1] - spans[:, 0])[high]] = False

    # ------------------------------------------------------------------------------ lists of frames

    def _read_lists(self, block: Block, rows: Ints, at: Ints, end: Ints) -> None:
        for some, key, key_end, value, value_end in self._entries(rows, at, end):
            which = self._which_name(some, key, key_end)
            for number in np.unique(which[which >= 0]).tolist():
                here = which == number
                column = block.column(self._names[number][1])
                chosen = some[here]
                self._require(chosen, column[chosen, 0] == Fault.MISSING)
                column[chosen] = self._frames(chosen, value[here], value_end[here])

    def _which_name(self, rows: Ints, key: Ints, key_end: Ints) -> Ints:
        """Returns the number of each key among the names so far, -1 where it cannot be compared."""
        which = np.full(len(rows), -1, np.int64)
        sizes = key_end - key
        self._require(rows, sizes <= _LONGEST_KEY)
        words = np.stack(
            [self._masked(key + place, sizes - place) for place in range(0, _LONGEST_KEY + 1, 8)], 1
        )
        words[:, 3] |= sizes.astype(np.uint64) << np.uint64(56)
        left = self._ok[rows]
        for number, (known, _) in enumerate(self._names):
            which[left & (words == known).all(1)] = number
        left &= which < 0
        while left.any():
            new = int(left.argmax())
            here = left & (words == words[new]).all(1)
            left &= ~here
            try:
                name = self._bytes[key[new] : key_end[new]].tobytes().decode()
            except UnicodeDecodeError:
                name = ""
            if not name or len(self._names) >= MOST_LISTS:
                self._ok[rows[here]] = False
                continue
            which[here] = len(self._names)
            self._names.append((words[new], name))
        return which

    def _frames(self, rows: Ints, at: Ints, end: Ints) -> Ints:
        """Describes lists of frames as if all were encoded as the first is: (n, 5)."""
        described = np.zeros((len(rows), 5), np.int64)
        (some,) = np.nonzero(at < end)
        rows, at, end = rows[some], at[some], end[some]
        feature, stop = self._open(rows, at, end, _FIRST)
        value, _ = self._open(
            rows, *self._open(rows, feature, stop, _FIRST, exact=True), _FIRST, exact=True
        )
        stride, width, header = np.maximum(stop - at, 1), stop - value, value - at
        frames = (end - at) // stride
        self._require(
            rows, (frames * stride == end - at) & (width > 0) & (header <= _LONGEST_HEADER)
        )
        described[some] = np.stack(
            [frames, width, value, np.where(frames == 1, width, stride), header], 1
        )
        return described

    # ------------------------------------------------------------------------------ the wire format

    def _entries(self, rows: Ints, at: Ints, end: Ints) -> Iterator[Step]:
        """Walks the entries of a map in each record.

        Which records have one more, its key's span and its value's.
        """
        for _ in range(_MOST_ENTRIES):
            more = self._ok[rows] & (at < end)
            rows, at, end = rows[more], at[more], end[more]
            if not len(rows):
                return
            entry, stop = self._open(rows, at, end, _FIRST)
            key, key_end = self._open(rows, entry, stop, _FIRST)
            value, value_end = self._open(rows, key_end, stop, _LISTS, exact=True)
            good = self._ok[rows]
            yield rows[good], key[good], key_end[good], value[good], value_end[good]
            at = stop
        self._ok[rows[at < end]] = False

    def _open(
        self, rows: Ints, at: Ints, end: Ints, tag: int | NDArray[np.uint8], exact: bool = False
    ) -> tuple[Ints, Ints]:
        """Opens a length-delimited field at `at`.

        The span of its bytes, an empty one where there is no such field.

        exact: it must fill the bytes until `end`.
        """
        words = self._words[at].view(np.int64)
        lengths = words >> 8
        final = ~lengths & 0x80808080
        final &= -final  # the lowest bit that is set: in the byte where the length ends
        lengths &= (final << 1) - 1
        size = (
            (lengths & 0x7F)
            | (lengths & 0x7F00) >> 1
            | (lengths & 0x7F0000) >> 2
            | (lengths & 0x7F000000) >> 3
        )
        start = at + 2 + (final > 0x80) + (final > 0x8000) + (final > 0x800000)
        stop = start + size
        good = (words & 0xFF == tag) & (final > 0) & ((stop == end) if exact else (stop <= end))
        if not good.all():
            self._ok[rows[~good]] = False
            start[~good] = stop[~good] = at[~good]
        return start, stop

    def _equals(self, start: Ints, stop: Ints, text: bytes) -> NDArray[np.bool_]:
        same: NDArray[np.bool_] = self._masked(start, stop - start) == int.from_bytes(
            text, "little"
        )
        same &= stop - start == len(text)
        return same

    def _masked(self, at: Ints, size: Ints) -> Words:
        """Returns up to 8 bytes as one number, those from `size` on taken as 0."""
        size = size.clip(0, 8)
        return np.asarray(self._words[np.where(size > 0, at, 0)] & _MASKS[size])

    def _require(self, rows: Ints, good: NDArray[np.bool_]) -> None:
        if not good.all():
            self._ok[rows[~good]] = False


_MASKS = np.array([256**size - 1 for size in range(9)], np.uint64)


def ranges(starts: Ints, stops: Ints) -> Ints:
    """Returns every number of every range [start, stop), behind one another."""
    sizes = stops - starts
    before = np.cumsum(sizes) - sizes
    numbers: Ints = np.arange(sizes.sum()) + np.repeat(starts - before, sizes)
    return numbers
