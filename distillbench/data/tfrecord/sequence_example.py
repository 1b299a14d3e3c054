"""Reads `tf.train.SequenceExample` from its bytes, in any legal wire form, without copying a frame.

Where frames lie is all that is wanted of them: a list is described by where its first frame's bytes
begin and how far apart frames are. What writers really produce (every frame encoded alike) is
recognised in one vectorised look at every frame's header; anything else that is legal goes through
a general parser and gives the same result.

What protobuf refuses is refused, wherever in the record it is: also in a key that is not needed,
or in a value that a later one replaces. Where protobuf's own parsers differ, the stricter counts: a
number above 64 bits, and a group that holds a field of no number or more than 90 other groups
inside one another, are refused; so are ids and labels beyond all measure, which no data set has
(`LONGEST_ID`, `_MOST_LABELS`). A map's entry that holds an unknown field besides its key and value
is an entry like any other, as it is to protobuf in C++.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from distillbench.data.naming import enumerated, shortened

Span = tuple[int, int]
Feature = tuple[int, list[Span]]
"""Which list a `Feature` holds (0: none), and the spans that are its encoding."""

LONGEST_ID = 1024
"""How many bytes an id may have."""

_VARINT, _FIXED64, _BYTES, _GROUP, _END_GROUP, _FIXED32 = range(6)
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3
_KINDS = {_BYTES_LIST: "bytes", _FLOAT_LIST: "floats", _INT64_LIST: "integers"}
_LARGEST = 2**31 - 1  # bytes of a record or a field
_LONGEST_TAG = 5  # bytes of a tag or of a length
_DEEPEST_GROUP = 90  # protobuf's 100 count the messages around a group too
_MOST_LABELS = 1 << 20
# Three tags, three lengths of ten bytes at most.
_HEADERS = [np.dtype((np.void, size)) for size in range(3 * 11 + 1)]


class WireError(ValueError):
    """Says why bytes are not a usable `SequenceExample`."""


class Fault(IntEnum):
    """Why a list of frames cannot be read; kept where a count would be, hence negative."""

    MISSING = -1
    NOT_BYTES = -2
    NOT_ONE_VALUE = -3
    UNEQUAL = -4

    def sentence(self, name: str, frame: int) -> str:
        """Makes the message about the list `name`, at its frame `frame`."""
        name = shortened(name)
        return {
            Fault.MISSING: f"it has no list {name!r}",
            Fault.NOT_BYTES: (
                f"frame {frame} of list {name!r} is not a string of bytes; frames must be stored as"
                " uint8"
            ),
            Fault.NOT_ONE_VALUE: f"frame {frame} of list {name!r} does not hold exactly one value",
            Fault.UNEQUAL: (
                f"frame {frame} of list {name!r} differs in width from the first or is empty"
            ),
        }[self]


class FrameList(NamedTuple):
    """Where the frames of one list lie: `frames` frames of `width` bytes.

    Frame i begins at byte base + i * stride; where that is not so, stride is 0 and `loose`
    has where each begins. An unusable list has a `Fault` for its frames and the frame it was found
    at for its base.
    """

    frames: int
    width: int
    base: int
    stride: int
    loose: list[int] | None = None


class Parsed(NamedTuple):
    """What is wanted of one record.

    id: the span of its bytes.
    labels: None where the record has no such key; ascending, without repetition.
    """

    id: Span
    labels: list[int] | None
    lists: dict[str, FrameList]


def parse(data: memoryview, start: int, stop: int) -> Parsed:
    """Parses the record that fills bytes [start, stop); raises `WireError`."""
    if stop - start > _LARGEST:
        raise WireError(f"it is {stop - start} bytes long, and no more than {_LARGEST} can be read")
    context: dict[str, Feature] = {}
    lists: dict[str, FrameList] = {}
    for number, wire, at, end in _fields(data, start, stop):
        if (number, wire) == (1, _BYTES):
            for key, spans in _entries(data, at, end, "a key of its context"):
                context[key] = _feature(data, spans)
        elif (number, wire) == (2, _BYTES):
            for name, spans in _entries(data, at, end, "the name of a list"):
                lists[name] = frame_list(data, spans)
    if all(found.frames == 0 for found in lists.values()):
        raise WireError(_why_no_frames(context))
    return Parsed(_identity(data, context), _labels(data, context), lists)


def frame_list(data: memoryview, spans: list[Span]) -> FrameList:
    """Finds the frames of a `FeatureList` whose encoding is the concatenation of `spans`."""
    if len(spans) == 1:
        regular = _regular(data, *spans[0])
        if regular is not None:
            return regular
    return _general(data, spans)


# ---------------------------------------------------------------------------------- lists of frames


def _regular(data: memoryview, start: int, stop: int) -> FrameList | None:
    """Recognises a list whose frames are all encoded as its first is.

    One `bytes_list` of one value.
    """
    at, end = start, stop
    for depth in range(
        3
    ):  # Feature in FeatureList, BytesList in Feature, value in BytesList: all field 1, of bytes
        if at >= end or data[at] != 0x0A:
            return None
        length, at = _length(data, at + 1, end)
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
    """Tells whether the `size` bytes at `start` begin every frame's encoding.

    They begin the first frame's.
    """
    found = np.ndarray((frames,), _HEADERS[size], data, start, (stride,))
    return found.tobytes() == bytes(data[start : start + size]) * frames


def _general(data: memoryview, spans: list[Span]) -> FrameList:
    starts: list[int] = []
    width = 0
    unusable: FrameList | None = None
    for start, stop in spans:
        for number, wire, at, end in _fields(data, start, stop):
            if number != 1 or wire != _BYTES:
                continue
            feature = _feature(data, [(at, end)])
            if unusable is not None:  # what follows must be sound all the same
                continue
            found = _frame(data, feature, width)
            if isinstance(found, Fault):
                unusable = FrameList(found, 0, len(starts), 0)
                continue
            first, last = found
            width = last - first
            starts.append(first)
    return unusable or _described(starts, width)


def _frame(data: memoryview, feature: Feature, width: int) -> Span | Fault:
    """Returns where the bytes of a frame lie.

    width: what the frames before it have, 0 where it is the first.
    """
    kind, bodies = feature
    if kind not in (_BYTES_LIST, 0):
        return Fault.NOT_BYTES
    values = list(_byte_values(data, bodies))
    if len(values) != 1:
        return Fault.NOT_ONE_VALUE
    first, last = values[0]
    if last == first or (width and last - first != width):
        return Fault.UNEQUAL
    return first, last


def _described(starts: list[int], width: int) -> FrameList:
    if len(starts) < 2:
        return FrameList(len(starts), width, starts[0] if starts else 0, width)
    stride = starts[1] - starts[0]
    if all(later - earlier == stride for earlier, later in pairwise(starts)):
        return FrameList(len(starts), width, starts[0], stride)
    return FrameList(len(starts), width, 0, 0, starts)


# -------------------------------------------------------------------------------------- the context


def _identity(data: memoryview, context: dict[str, Feature]) -> Span:
    for key in ("id", "video_id"):
        if key not in context:
            continue
        kind, bodies = context[key]
        values = list(_byte_values(data, bodies)) if kind == _BYTES_LIST else []
        if len(values) != 1:
            raise WireError(f"its '{key}' is not one string")
        start, stop = values[0]
        if stop - start > LONGEST_ID:
            raise WireError(
                f"its '{key}' is {stop - start} bytes long; an id has {LONGEST_ID} at most"
            )
        _text(data, start, stop, "its id")
        return start, stop
    raise WireError("it has neither 'id' nor 'video_id' in its context")


def _labels(data: memoryview, context: dict[str, Feature]) -> list[int] | None:
    if "labels" not in context:
        return None
    kind, bodies = context["labels"]
    if kind not in (_INT64_LIST, 0):
        raise WireError(f"its 'labels' are {_KINDS[kind]}, not integers")
    found: set[int] = set()
    for label in _int_values(data, bodies):
        found.add(label)
        if len(found) > _MOST_LABELS:
            raise WireError(f"it has more than {_MOST_LABELS} labels")
    labels = sorted(found)
    if labels and (labels[0] < 0 or labels[-1] > 2**31 - 1):
        wrong = labels[0] if labels[0] < 0 else labels[-1]
        raise WireError(f"its label {wrong} is not a class number")
    return labels


def _why_no_frames(context: dict[str, Feature]) -> str:
    means = sorted(key for key in context if key.startswith("mean_"))
    if not means:
        return "it holds no frames"
    return (
        f"{VIDEO_LEVEL} (it holds {enumerated(means)} and no frames); distillbench needs"
        " frame-level shards"
    )


VIDEO_LEVEL = "this is a video-level shard"
"""Begins the reason of every record that holds averages over a video in place of its frames."""


# ---------------------------------------------------------------------------------- the wire format


def _entries(
    data: memoryview, start: int, stop: int, what: str
) -> Iterator[tuple[str, list[Span]]]:
    """Walks the entries of one `Features` or `FeatureLists`.

    Key, called `what`, and value, whose spans merge.

    Of a repeated key the last entry counts, as in any map.
    """
    for number, wire, at, end in _fields(data, start, stop):
        if number != 1 or wire != _BYTES:
            continue
        key = ""
        values: list[Span] = []
        for part, part_wire, first, last in _fields(data, at, end):
            if (part, part_wire) == (1, _BYTES):
                key = _text(data, first, last, what)
            elif (part, part_wire) == (2, _BYTES):
                values.append((first, last))
        yield key, values


def _feature(data: memoryview, spans: list[Span]) -> Feature:
    """Returns what a `Feature` holds, all of it verified; one kind merges, another replaces."""
    kind = 0
    bodies: list[Span] = []
    for start, stop in spans:
        for number, wire, at, end in _fields(data, start, stop):
            if wire != _BYTES or number not in _KINDS:
                continue
            _verify(data, number, at, end)
            if number != kind:
                kind, bodies = number, []
            bodies.append((at, end))
    return kind, bodies


def _verify(data: memoryview, kind: int, start: int, stop: int) -> None:
    """Raises `WireError` where these bytes are no list of that kind."""
    for number, wire, at, end in _fields(data, start, stop):
        if number != 1 or wire != _BYTES:
            continue
        if kind == _FLOAT_LIST and (end - at) % 4:
            raise WireError(f"{end - at} bytes are no list of floats")
        while kind == _INT64_LIST and at < end:
            _, at = _varint(data, at, end)


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
    """Walks a message's fields: number, wire type and the span of each value.

    Groups are skipped.
    """
    while at < stop:
        number, wire, at = _tag(data, at, stop)
        if wire == _BYTES:
            length, at = _length(data, at, stop)
            end = at + length
        else:
            end = _skip(data, number, wire, at, stop, 0)
        if end > stop:
            raise WireError(
                f"a field of {end - at} bytes does not fit the {stop - at} bytes that are left"
                " for it"
            )
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
        length, at = _length(data, at, stop)
        return at + length
    if wire != _GROUP:
        raise WireError(f"wire type {wire} is out of place")
    if depth > _DEEPEST_GROUP:
        raise WireError(f"more than {_DEEPEST_GROUP} groups are inside one another")
    while at < stop:
        inner, inner_wire, at = _tag(data, at, stop)
        if inner_wire == _END_GROUP:
            if inner != number:
                raise WireError("a group ends that did not begin")
            return at
        at = _skip(data, inner, inner_wire, at, stop, depth + 1)
    raise WireError("a group does not end")


def _tag(data: memoryview, at: int, stop: int) -> tuple[int, int, int]:
    """Returns the number and the wire type of the field at `at`, and where its tag ends."""
    tag, end = _varint(data, at, stop)
    number = tag >> 3
    if not number or number >> 29 or end - at > _LONGEST_TAG:
        raise WireError(f"{number} in {end - at} bytes is not a field number")
    return number, tag & 7, end


def _length(data: memoryview, at: int, stop: int) -> tuple[int, int]:
    """Returns the length at `at` and where it ends."""
    length, end = _varint(data, at, stop)
    if end - at > _LONGEST_TAG:
        raise WireError(f"{length} in {end - at} bytes is not a length")
    return length, end


def _varint(data: memoryview, at: int, stop: int) -> tuple[int, int]:
    """Returns the unsigned 64-bit number at `at` and where it ends."""
    value = shift = 0
    while at < stop:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if value >> 64:
            break
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            break
    else:
        raise WireError("a number is cut off")
    raise WireError("a number is longer than 64 bits")


def _text(data: memoryview, start: int, stop: int, what: str) -> str:
    try:
        return bytes(data[start:stop]).decode()
    except UnicodeDecodeError:
        raise WireError(f"{what} is not UTF-8 text") from None
