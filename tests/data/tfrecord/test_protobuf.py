"""The record parsers against protobuf's own, on sound records and on broken ones."""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
from data.wire import NAMED, PLAIN, RGB, Wild, context, frame, listed, record, varint, written
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given, settings
from hypothesis import strategies as st

from distillbench.data.tfrecord.index import ShardIndex, index_shard
from distillbench.data.tfrecord.sequence_example import Fault, WireError, parse

STRICTER = r"longer than 64 bits|is not a field number|groups are inside one another"
"""Reasons for which a record may be refused that protobuf reads."""


# -------------------------------------------------------------------------------------------------- tf.train's messages


def sequence_example(maps: bool) -> type[Any]:
    """Makes `tf.train.SequenceExample` from what its .proto files say. maps: not lists of what is a map's entry."""
    proto = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tf", syntax="proto3")

    def field(
        message: Any, name: str, number: int, kind: str | int, repeated: bool = False, **more: int
    ) -> None:
        made = message.field.add(name=name, number=number, **more)
        made.label = proto.LABEL_REPEATED if repeated else proto.LABEL_OPTIONAL
        made.type = proto.TYPE_MESSAGE if isinstance(kind, str) else kind
        if isinstance(kind, str):
            made.type_name = f".tf.{kind}"

    def mapping(name: str, of: str, entry: str, value: str) -> None:
        message = file.message_type.add(name=name)
        nested = message.nested_type.add(name=entry)
        nested.options.map_entry = maps
        field(nested, "key", 1, proto.TYPE_STRING)
        field(nested, "value", 2, value)
        field(message, of, 1, f"{name}.{entry}", repeated=True)

    for name, kind in (
        ("Bytes", proto.TYPE_BYTES),
        ("Float", proto.TYPE_FLOAT),
        ("Int64", proto.TYPE_INT64),
    ):
        field(file.message_type.add(name=f"{name}List"), "value", 1, kind, repeated=True)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("Bytes", "Float", "Int64"), 1):
        field(feature, f"{name.lower()}_list", number, f"{name}List", oneof_index=0)
    field(file.message_type.add(name="FeatureList"), "feature", 1, "Feature", repeated=True)
    mapping("Features", "feature", "FeatureEntry", "Feature")
    mapping("FeatureLists", "feature_list", "FeatureListEntry", "FeatureList")
    example = file.message_type.add(name="SequenceExample")
    field(example, "context", 1, "Features")
    field(example, "feature_lists", 2, "FeatureLists")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tf.SequenceExample"))


SequenceExample, SequenceExampleOfEntries = (
    sequence_example(maps=True),
    sequence_example(maps=False),
)


class Refused(NamedTuple):
    """A record that is not to be used. why: part of the reason."""

    why: str


class Meant(NamedTuple):
    """What a record means. lists: the frames of each, or the fault and the frame it is at."""

    id: bytes
    labels: list[int] | None
    lists: dict[str, list[bytes] | tuple[int, int]]


def meant(data: bytes) -> Meant | Refused:
    """Says what protobuf finds in a record, none of it taken from our own parsers."""
    try:
        context, found = maps_of(data)
    except DecodeError:
        return Refused(
            ""
        )  # a record may be broken in several ways, of which each parser meets another first
    lists = {name: frames_meant(each.feature) for name, each in found.items()}
    if all(frames == [] for frames in lists.values()):
        return Refused("no frames")
    for key in ("id", "video_id"):
        if key in context:
            break
    else:
        return Refused("neither 'id' nor 'video_id'")
    if context[key].WhichOneof("kind") != "bytes_list" or len(context[key].bytes_list.value) != 1:
        return Refused("is not one string")
    (name,) = context[key].bytes_list.value
    if len(name) > 1024:
        return Refused("bytes long")
    try:
        name.decode()
    except UnicodeDecodeError:
        return Refused("its id is not UTF-8 text")
    if "labels" not in context:
        return Meant(name, None, lists)
    if context["labels"].WhichOneof("kind") not in ("int64_list", None):
        return Refused("not integers")
    labels = sorted(set(context["labels"].int64_list.value))
    if labels and not 0 <= labels[0] <= labels[-1] < 2**31:
        return Refused("is not a class number")
    return Meant(name, labels, lists)


def maps_of(data: bytes) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Returns the context and the lists of a record.

    Protobuf in Python passes over an entry that holds an unknown field, in C++ it does not: then take the entries, which
    are the same on the wire, to be a list.
    """
    message = SequenceExample.FromString(data)
    if not set_aside(message):
        return message.context.feature, message.feature_lists.feature_list
    entries = SequenceExampleOfEntries.FromString(data)
    both = entries.context.feature, entries.feature_lists.feature_list
    context, lists = ({each.key: each.value for each in some} for some in both)
    return context, lists


def set_aside(message: Any) -> bool:
    unknown = [*UnknownFieldSet(message.context), *UnknownFieldSet(message.feature_lists)]
    return any((each.field_number, each.wire_type) == (1, 2) for each in unknown)


def frames_meant(features: Any) -> list[bytes] | tuple[int, int]:
    frames: list[bytes] = []
    for place, feature in enumerate(features):
        if feature.WhichOneof("kind") not in ("bytes_list", None):
            return Fault.NOT_BYTES, place
        if len(feature.bytes_list.value) != 1:
            return Fault.NOT_ONE_VALUE, place
        frames.append(feature.bytes_list.value[0])
        if not frames[-1] or len(frames[-1]) != len(frames[0]):
            return Fault.UNEQUAL, place
    return frames


def found_in(index: ShardIndex, row: int, file: bytes) -> Meant:
    """Says what the index of a shard has of one of its videos."""
    ends = [0, *index.label_ends.tolist()]
    lists: dict[str, list[bytes] | tuple[int, int]] = {}
    for name, column in index.columns.items():
        count, base, stride = int(column.count[row]), int(column.base[row]), int(column.stride[row])
        if count == Fault.MISSING:
            continue
        if count < 0:
            lists[name] = (count, base)
            continue
        starts = (
            column.loose[base : base + count] if not stride else base + stride * np.arange(count)
        )
        lists[name] = [file[start : start + int(column.width[row])] for start in starts.tolist()]
    labels = index.labels[ends[row] : ends[row + 1]].tolist() if index.labelled[row] else None
    return Meant(index.id(row).encode(), labels, lists)


def assert_as_protobuf_reads(records: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, [*records, RECORD])  # nothing at a file's very end is parsed in step
        index, file = index_shard(path), path.read_bytes()
    rows = {int(start) - 12: row for row, start in enumerate(index.starts)}
    reasons = {bad.offset: bad.reason for bad in index.bad}
    offset = 0
    for each in records:
        expected = meant(each)
        reason = reasons.get(offset)
        if isinstance(expected, Refused):
            assert reason is not None, (expected, each)
            assert reason
            if expected.why not in reason:
                assert re.search(STRICTER, reason), (expected, reason, each)
        elif reason is not None:
            assert re.search(STRICTER, reason), (reason, each)
        else:
            assert found_in(index, rows[offset], file) == expected, each
        offset += len(each) + 16


# ------------------------------------------------------------------------------------------------------- what is tried


class Hostile(Wild):
    """Encodes in ways that mean something else, or nothing, about once a record."""

    harm = 0.01

    def harmed(self) -> bool:
        return self.rng.random() < self.harm

    def field(self, number: int, value: bytes) -> bytes:
        if self.harmed():
            return self.rng.choice(
                [
                    varint(number * 8 + 2, 4)
                    + varint(len(value), 4)
                    + value,  # as long as tag and length may be
                    varint(number * 8 + 2, 5) + varint(len(value)) + value,
                    varint(number * 8 + 2) + varint(len(value), 9) + value,
                    varint(number * 8 + 2)
                    + varint(len(value) + self.rng.choice([-1, 1, 2**31, 2**63]))
                    + value,
                    super().field(number, value) * 2,
                    super().field(number, b"") + super().field(number, value),
                    super().field(number, value) + super().field(number, b""),
                    super().field(number, value + self.broken()),
                    varint(number * 8 + self.rng.randrange(8)) + value,
                ]
            )
        return super().field(number, value)

    def unknown(self) -> bytes:
        return self.broken() if self.harmed() else super().unknown()

    def broken(self) -> bytes:
        depth = self.rng.choice([1, 90, 95, 99, 150])
        return self.rng.choice(
            [
                varint(2) + varint(1) + b"x",  # a field of number 0
                varint(0) + b"x",
                varint((2**29) * 8) + b"x",
                varint(9 * 8)
                + b"\xff" * 9
                + self.rng.choice([b"\x01", b"\x02", b"\x7f", b"\xff\x01"]),
                varint(9 * 8 + 3) * depth + varint(9 * 8 + 4) * depth,
                varint(9 * 8 + 3)
                + self.rng.choice([varint(0) + b"x", varint(2**29 * 8) + b"x", b""])
                + b"\x4c",
                varint(9 * 8 + 3),
                varint(9 * 8 + 4),
                varint(9 * 8 + self.rng.choice([6, 7])),
                varint(9 * 8 + 1) + b"short",
                varint(9 * 8 + 5) + b"abc",
            ]
        )

    def entry(self, key: str, value: bytes) -> bytes:
        if not self.harmed():
            return super().entry(key, value)
        named = super().field(1, key.encode())
        return self.field(
            1,
            self.rng.choice(
                [
                    named + value + value,
                    value + named + named,
                    super().field(1, b"\xff\xfe") + value,
                    super().field(1, b"\xed\xa0\x80") + named + value,
                    named,
                    value,
                    named + value + self.broken(),
                    named + self.feature(),
                    named + self.feature() + value,
                    named + value + self.feature(),
                ]
            ),
        )

    def feature(self) -> bytes:
        """A `Feature` of any kind, sound or not, that fills an entry's value or an element of a list."""
        body = self.rng.choice(
            [b"", bytes(4), bytes(3), b"\x80", b"\xff" * 9 + b"\x01", b"\xff" * 10, b"ab"]
        )
        kinds = [self.rng.choice([1, 2, 3, 3, 4]) for _ in range(self.rng.choice([1, 1, 2, 3]))]
        return super().field(
            2, b"".join(super(Hostile, self).field(kind, self.values(body)) for kind in kinds)
        )

    def values(self, body: bytes) -> bytes:
        unpacked = [varint(8) + varint(self.rng.choice([3, -1, 2**40])), varint(8 + 5) + bytes(4)]
        return self.rng.choice(
            [super().field(1, body), super().field(1, body) * 2, *unpacked, b"", b"\x08"]
        )

    def record(self, number: int) -> bytes:
        frames = {
            name: np.full((self.rng.randrange(5), self.rng.choice([1, 4, 130])), number, np.uint8)
            for name in self.rng.sample(["rgb", "audio", "ä"], self.rng.choice([1, 1, 2]))
        }
        name = f"v{number}{self.rng.choice(['', '', 'é'])}".encode()
        context = [self.entry(self.rng.choice(["id", "video_id"]), self.one(1, name))]
        labels = [self.rng.choice([0, 1, 200, 2**31 - 1]) for _ in range(self.rng.randrange(3))]
        if self.rng.random() < 0.8:
            context.append(self.entry("labels", self.message(2, [self.labels(labels)])))
        others = [
            self.entry(
                "start_time_seconds", self.message(2, [self.field(2, self.field(1, bytes(4)))])
            ),
            self.entry("segment_start_times", self.message(2, [self.labels([5, 10**9])])),
            self.entry("mean_rgb", self.message(2, [self.field(2, self.field(1, bytes(8)))])),
            self.entry("schlüssel", self.one(1, b"abc")),
            self.entry("video_id", self.one(1, b"another")),
            self.entry("odd", self.feature()),
        ]
        context += self.rng.sample(others, self.rng.randrange(3))
        lists = [self.entry(each, self.feature_list(rows)) for each, rows in frames.items()]
        self.rng.shuffle(context)
        parts = [self.message(1, context), self.message(2, lists)]
        return b"".join(parts[::-1] if self.maybe() else parts)

    def one(self, kind: int, value: bytes) -> bytes:
        return self.message(2, [self.message(kind, [self.field(1, value)])])


class Tame(Hostile):
    """As `Hostile`, but otherwise encodes as writers do, so that records are parsed in step."""

    wild = False


def mutated(record: bytes, rng: random.Random) -> bytes:
    """Changes up to three places of a record, mostly early ones, where there are headers."""
    data = bytearray(record)
    for _ in range(rng.choice([0, 0, 0, 0, 1, 1, 2, 3])):
        place = rng.randrange(min(len(data), rng.choice([20, 80, 10**6])) or 1)
        other = rng.randrange(len(data) + 1)
        how = rng.randrange(6)
        if how == 0:
            data[place : place + 1] = bytes(
                [rng.choice([0, 8, 10, 18, 26, 127, 128, 255, rng.randrange(256)])]
            )
        elif how == 1:
            del data[place : place + rng.randrange(1, 4)]
        elif how == 2:
            data[place:place] = bytes([rng.choice([0, 10, 128, 255])])
        elif how == 3:
            del data[other:]
        elif how == 4:
            data[other:other] = data[min(place, other) : max(place, other)]
        else:
            data[place : place + 1] = bytes([data[place] ^ 1 << rng.randrange(8)]) if data else b""
    return bytes(data)


RECORD = record()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([Hostile, Tame]))
def test_records_are_read_as_protobuf_reads_them_or_refused(
    seed: int, encoder: Callable[[random.Random], Hostile]
) -> None:
    rng = random.Random(seed)
    hostile = encoder(rng)
    assert_as_protobuf_reads([mutated(hostile.record(number), rng) for number in range(12)])


GROUP, ENDED = varint(9 * 8 + 3), varint(9 * 8 + 4)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (
            record(context(b"a", PLAIN.field(2, PLAIN.field(1, b"abc")))),
            "3 bytes are no list of floats",
        ),
        (record(context(b"a", PLAIN.field(3, PLAIN.field(1, b"\x80")))), "a number is cut off"),
        (
            record(context(b"a", PLAIN.field(3, PLAIN.field(1, b"\xff" * 10 + b"\x01")))),
            "longer than 64 bits",
        ),
        (record(context(b"a", PLAIN.field(1, b"\x0a\x05ab"))), "does not fit"),
        (record(context(b"a", b"\x0a\x05")), "does not fit"),
        (record(context(b"\xff", b"")), "a key of its context is not UTF-8 text"),
        (record(context(b"id", b"\x0a\x05") + NAMED), "does not fit"),
        (
            record(lists=listed(b"\xed\xa0\x80", frame(b"abc")) + RGB),
            "the name of a list is not UTF-8 text",
        ),
        (record(lists=listed(b"rgb", b"\x0a\x05") + RGB), "does not fit"),
        (record(lists=listed(b"rgb", frame(b"") + b"\x0a\x05")), "does not fit"),
        (
            record(lists=listed(b"rgb", PLAIN.field(1, PLAIN.field(2, b"\x0a\x03abc")))),
            "no list of floats",
        ),
        (record(end=b"\x8a\x80\x80\x80\x80\x00\x00"), "1 in 6 bytes is not a field number"),
        (record(end=b"\x0a\x80\x80\x80\x80\x80\x00"), "0 in 6 bytes is not a length"),
        (record(end=GROUP + b"\x00\x01" + ENDED), "0 in 1 bytes is not a field number"),
        (record(end=GROUP * 101 + ENDED * 101), "more than 90 groups are inside one another"),
    ],
)
def test_what_protobuf_calls_corrupt_is_refused_wherever_it_is(data: bytes, why: str) -> None:
    if (
        why != "0 in 1 bytes is not a field number"
    ):  # which protobuf in Python passes over, in C++ it does not
        assert isinstance(meant(data), Refused)
    with pytest.raises(WireError, match=why):
        parse(memoryview(data), 0, len(data))
    assert_as_protobuf_reads([data])


def test_a_number_above_64_bits_is_refused_where_protobuf_cuts_it() -> None:
    data = record(
        context(b"labels", PLAIN.field(3, PLAIN.field(1, b"\x83" + b"\x80" * 8 + b"\x02")))
    )
    assert isinstance(meant(data), Meant)
    with pytest.raises(WireError, match="longer than 64 bits"):
        parse(memoryview(data), 0, len(data))


def test_an_entry_with_an_unknown_field_is_an_entry() -> None:
    data = record(
        lists=PLAIN.field(1, PLAIN.field(1, b"rgb") + PLAIN.field(2, frame(b"abc")) + b"\x58\x01")
    )
    assert set_aside(SequenceExample.FromString(data))
    assert_as_protobuf_reads([data])
    assert parse(memoryview(data), 0, len(data)).lists["rgb"].frames == 1


def test_groups_may_be_as_deep_as_protobuf_allows_anywhere() -> None:
    data = record(end=GROUP * 91 + ENDED * 91)
    assert_as_protobuf_reads([data])
    assert parse(memoryview(data), 0, len(data)).lists["rgb"].frames == 9


@pytest.mark.parametrize(
    ("data", "rgb"),
    [
        (record(lists=listed(b"rgb", frame(b"abc"), frame(b"def"))), [b"abc", b"def"]),
        (record(lists=listed(b"rgb", frame(b"abc")) + listed(b"rgb", frame(b"def"))), [b"def"]),
        (
            record(lists=listed(b"rgb", frame(b"abc")))
            + PLAIN.field(2, listed(b"rgb", frame(b"def"))),
            [b"def"],
        ),
        (
            record(
                lists=listed(
                    b"rgb", frame(b"ab") + PLAIN.field(1, b"\x0a\x00\x1a\x00\x0a\x04\x0a\x02cd")
                )
            ),
            [b"ab", b"cd"],
        ),
        (
            record(
                lists=RGB + listed(b"rgb", frame(b"abc")) + PLAIN.field(1, PLAIN.field(1, b"a"))
            ),
            [b"abc"],
        ),
    ],
)
def test_what_is_written_twice_merges_or_replaces_as_in_protobuf(
    data: bytes, rgb: list[bytes]
) -> None:
    expected = meant(data)
    assert isinstance(expected, Meant)
    assert expected.lists["rgb"] == rgb
    assert_as_protobuf_reads([data])


def test_an_id_beyond_all_measure_is_refused() -> None:
    long = context(b"id", PLAIN.field(1, PLAIN.field(1, b"v" * 1025)))
    data = PLAIN.field(1, long) + PLAIN.field(2, RGB)
    with pytest.raises(WireError, match="its 'id' is 1025 bytes long; an id has 1024 at most"):
        parse(memoryview(data), 0, len(data))
    assert_as_protobuf_reads([data])


def test_a_record_above_two_gigabytes_is_refused() -> None:
    with pytest.raises(WireError, match="it is 2147483648 bytes long"):
        parse(memoryview(b""), 0, 2**31)


def test_more_labels_than_any_data_set_has_classes_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("distillbench.data.tfrecord.sequence_example._MOST_LABELS", 3)
    data = record(context(b"labels", PLAIN.field(3, PLAIN.field(1, b"\1\2\3\4"))))
    with pytest.raises(WireError, match="it has more than 3 labels"):
        parse(memoryview(data), 0, len(data))


def test_any_number_of_labels_up_to_that_is_read() -> None:
    assert_as_protobuf_reads(
        [record(context(b"labels", PLAIN.field(3, PLAIN.field(1, bytes(range(128)) * 10))))]
    )
