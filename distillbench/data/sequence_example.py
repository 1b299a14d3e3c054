"""Reads `tf.train.SequenceExample` from its bytes, in any legal wire form, without copying a frame.

Where frames lie is all that is wanted of them: a list is described by where its first frame's bytes begin and how far
apart frames are. What writers really produce (every frame encoded alike) is recognised in one vectorised look at every
frame's header; anything else that is legal goes through a general parser and gives the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple

import numpy as np

Span = tuple[int, int]

_VARINT, _FIXED64, _BYTES, _GROUP, _END_GROUP, _FIXED32 = range(6)
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3
_KINDS = {_BYTES_LIST: "bytes", _FLOAT_LIST: "floats", _INT64_LIST: "integers"}
_DEEPEST_GROUP = 100
_HEADERS = [np.dtype((np.void, size)) for size in range(3 * 11 + 1)]  # three tags, three lengths of ten bytes at most


class WireError(ValueError):
    """Says why bytes are no `SequenceExample`, or not one that can be used."""


class Fault(IntEnum):
    """Why a list of frames cannot be read; kept where a count would be, hence negative."""

    MISSING = -1
    NOT_BYTES = -2
    NOT_ONE_VALUE = -3
    UNEQUAL = -4

    def sentence(self, name: str, frame: int) -> str:
        """Says it of the list `name`, at its frame `frame`."""
        return {
            Fault.MISSING: f"it has no list {name!r}",
            Fault.NOT_BYTES: f"frame {frame} of list {name!r} is not a string of bytes; frames must be stored as uint8",
            Fault.NOT_ONE_VALUE: f"frame {frame} of list {name!r} does not hold exactly one value",
            Fault.UNEQUAL: f"frame {frame} of list {name!r} differs in width from the first or is empty",
        }[self]


class FrameList(NamedTuple):
    """Where the frames of one list lie: `frames` frames of `width` bytes.

    Frame i begins at byte base + i * stride; where that cannot be said, stride is 0 and `loose` says where each begins.
    An unusable list has a `Fault` for its frames and the frame it was found at for its base.
    """

    frames: int
    width: int
    base: int
    stride: int
    loose: list[int] | None = None


class Parsed(NamedTuple):
    """What is wanted of one record.

    id: the span of its bytes. labels: None where the record has no such key; ascending, without repetition.
    """

    id: Span
    labels: list[int] | None
    lists: dict[str, FrameList]


def parse(data: memoryview, start: int, stop: int) -> Parsed:
    """Parses the record that fills bytes [start, stop); raises `WireError`."""
    context: dict[bytes, list[Span]] = {}
    lists: dict[bytes, list[Span]] = {}
    for number, wire, at, end in _fields(data, start, stop):
        if wire == _BYTES and (number == 1 or number == 2):
            _read_map(data, at, end, context if number == 1 else lists)
    frames = {_text(name, "the name of a list"): frame_list(data, spans) for name, spans in lists.items()}
    if all(found.frames == 0 for found in frames.values()):
        raise WireError(_why_no_frames(context))
    return Parsed(_identity(data, context), _labels(data, context), frames)


def frame_list(data: memoryview, spans: list[Span]) -> FrameList:
    """Finds the frames of a `FeatureList` whose encoding is the concatenation of `spans`."""
    if len(spans) == 1:
        regular = _regular(data, *spans[0])
        if regular is not None:
            return regular
    return _general(data, spans)


# ------------------------------------------------------------------------------------------------ lists of frames


def _regular(data: memoryview, start: int, stop: int) -> FrameList | None:
    """Recognises a list whose frames are all encoded as its first is: one `bytes_list` of one value."""
    at, end = start, stop
    for depth in range(3):  # Feature in FeatureList, BytesList in Feature, value in BytesList: all field 1, of bytes
        if at >= end or data[at] != 0x0A:
            return None
        length, at = _varint(data, at + 1, end)
        if at + length > end or (depth and at + length < end):
            return None
        end = at + length
    stride, width = end - start, end - at
    count, rest = divmod(stop - start, stride)
    if rest or not width:
        return None
    if not same_headers(data, start, count, stride, at - start):
        return None
    return FrameList(count, width, at, stride if count > 1 else width)


def same_headers(data: memoryview, start: int, frames: int, stride: int, size: int) -> bool:
    """Tells whether the `size` bytes at `start`, which begin the first frame's encoding, begin every other one's too."""
    found = np.ndarray((frames,), _HEADERS[size], data, start, (stride,))
    return found.tobytes() == bytes(data[start : start + size]) * frames


def _general(data: memoryview, spans: list[Span]) -> FrameList:
    starts: list[int] = []
    width = 0
    for start, stop in spans:
        for number, wire, at, end in _fields(data, start, stop):
            if number != 1 or wire != _BYTES:
                continue
            kind, bodies = _kind(data, [(at, end)])
            if kind not in (_BYTES_LIST, 0):
                return FrameList(Fault.NOT_BYTES, 0, len(starts), 0)
            values = list(_byte_values(data, bodies))
            if len(values) != 1:
                return FrameList(Fault.NOT_ONE_VALUE, 0, len(starts), 0)
            first, last = values[0]
            width = width or last - first
            if not width or last - first != width:
                return FrameList(Fault.UNEQUAL, 0, len(starts), 0)
            starts.append(first)
    return _described(starts, width)


def _described(starts: list[int], width: int) -> FrameList:
    if len(starts) < 2:
        return FrameList(len(starts), width, starts[0] if starts else 0, width)
    stride = starts[1] - starts[0]
    if all(later - earlier == stride for earlier, later in pairwise(starts)):
        return FrameList(len(starts), width, starts[0], stride)
    return FrameList(len(starts), width, 0, 0, starts)


# ------------------------------------------------------------------------------------------------ the context


def _identity(data: memoryview, context: dict[bytes, list[Span]]) -> Span:
    for key in (b"id", b"video_id"):
        if key not in context:
            continue
        kind, bodies = _kind(data, context[key])
        values = list(_byte_values(data, bodies)) if kind == _BYTES_LIST else []
        if len(values) != 1:
            raise WireError(f"its '{key.decode()}' is not one string")
        _text(bytes(data[slice(*values[0])]), "its id")
        return values[0]
    raise WireError("it has neither 'id' nor 'video_id' in its context")


def _labels(data: memoryview, context: dict[bytes, list[Span]]) -> list[int] | None:
    if b"labels" not in context:
        return None
    kind, bodies = _kind(data, context[b"labels"])
    if kind not in (_INT64_LIST, 0):
        raise WireError(f"its 'labels' are {_KINDS[kind]}, not integers")
    labels = sorted(set(_int_values(data, bodies)))
    if labels and (labels[0] < 0 or labels[-1] > 2**31 - 1):
        wrong = labels[0] if labels[0] < 0 else labels[-1]
        raise WireError(f"its label {wrong} is no class number")
    return labels


def _why_no_frames(context: dict[bytes, list[Span]]) -> str:
    means = sorted(key.decode(errors="replace") for key in context if key.startswith(b"mean_"))
    if not means:
        return "it holds no frames"
    return f"{VIDEO_LEVEL} (it holds {', '.join(means)} and no frames); distillbench needs frame-level shards"


VIDEO_LEVEL = "this is a video-level shard"
"""Begins the reason of every record that holds averages over a video in place of its frames."""


# ------------------------------------------------------------------------------------------------ the wire format


def _read_map(data: memoryview, start: int, stop: int, into: dict[bytes, list[Span]]) -> None:
    """Adds the entries of one `Features` or `FeatureLists`: of a repeated key the last entry counts, as in any map."""
    for number, wire, at, end in _fields(data, start, stop):
        if number != 1 or wire != _BYTES:
            continue
        key = b""
        values: list[Span] = []
        for part, part_wire, first, last in _fields(data, at, end):
            if part_wire == _BYTES and part == 1:
                key = bytes(data[first:last])
            elif part_wire == _BYTES and part == 2:
                values.append((first, last))
        into[key] = values


def _kind(data: memoryview, spans: list[Span]) -> tuple[int, list[Span]]:
    """Returns which list a `Feature` holds (0: none) and its encoding; one kind merges, another replaces."""
    kind = 0
    bodies: list[Span] = []
    for start, stop in spans:
        for number, wire, at, end in _fields(data, start, stop):
            if wire != _BYTES or number not in _KINDS:
                continue
            if number != kind:
                kind, bodies = number, []
            bodies.append((at, end))
    return kind, bodies


def _byte_values(data: memoryview, bodies: list[Span]) -> Iterator[Span]:
    for start, stop in bodies:
        for number, wire, at, end in _fields(data, start, stop):
            if number == 1 and wire == _BYTES:
                yield at, end


def _int_values(data: memoryview, bodies: list[Span]) -> Iterator[int]:
    for start, stop in bodies:
        for number, wire, at, end in _fields(data, start, stop):
            if number != 1 or wire not in (_VARINT, _BYTES):
                continue
            while at < end:
                value, at = _varint(data, at, end)
                yield value - (1 << 64) if value >> 63 else value


def _fields(data: memoryview, at: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Walks a message's fields: number, wire type and the span of each value; groups are skipped."""
    while at < stop:
        tag, at = _varint(data, at, stop)
        number, wire = tag >> 3, tag & 7
        if wire == _BYTES:
            length, at = _varint(data, at, stop)
            end = at + length
        else:
            end = _skip(data, number, wire, at, stop, 0)
        if end > stop:
            raise WireError(f"a field of {end - at} bytes does not fit the {stop - at} bytes that are left for it")
        if not number or number >> 29:
            raise WireError(f"{number} is no field number")
        yield number, wire, at, end
        at = end


def _skip(data: memoryview, number: int, wire: int, at: int, stop: int, depth: int) -> int:
    if wire == _VARINT:
        return _varint(data, at, stop)[1]
    if wire == _FIXED64:
        return at + 8
    if wire == _FIXED32:
        return at + 4
    if wire == _BYTES:
        length, at = _varint(data, at, stop)
        return at + length
    if wire != _GROUP or depth > _DEEPEST_GROUP:
        raise WireError(f"wire type {wire} is out of place")
    while at < stop:
        tag, at = _varint(data, at, stop)
        if tag & 7 == _END_GROUP:
            if tag >> 3 != number:
                raise WireError("a group ends that did not begin")
            return at
        at = _skip(data, tag >> 3, tag & 7, at, stop, depth + 1)
    raise WireError("a group does not end")


def _varint(data: memoryview, at: int, stop: int) -> tuple[int, int]:
    """Returns the unsigned 64-bit number at `at` and where it ends."""
    value = shift = 0
    while at < stop:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift > 63:
            raise WireError("a number is longer than 64 bits")
    raise WireError("a number is cut off")


def _text(value: bytes, what: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise WireError(f"{what} is no UTF-8 text") from None
