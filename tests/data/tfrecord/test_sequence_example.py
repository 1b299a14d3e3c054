"""The record parsers against an encoder that shares nothing with them."""

from __future__ import annotations

import dataclasses
import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from data.wire import LISTS, Example, Plain, Wild, examples, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distillbench.data import ShardVideos
from distillbench.data.tfrecord.batch_parser import BatchParser
from distillbench.data.tfrecord.index import ShardIndex, index_shard
from distillbench.data.tfrecord.sequence_example import Fault, WireError, parse
from distillbench.errors import DataError

RANDOMS = st.randoms(use_true_random=False)


def assert_read_as_written(records: list[bytes], found: list[Example]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        videos = ShardVideos([written(folder, records)], LISTS, needs_labels=False)
        assert list(videos.ids) == [example.id for example in found]
        for number, example in enumerate(found):
            expected = np.hstack([example.frames[name] for name in LISTS])
            assert videos.lengths[number] == len(expected)
            every = torch.arange(len(expected))[None]
            assert (videos.read(torch.tensor([number]), every)[0].numpy() == expected).all()
            last = torch.tensor([[len(expected) - 1]])
            assert (videos.read(torch.tensor([number]), last)[0].numpy() == expected[-1:]).all()
            assert videos.labels.dense(torch.tensor([number])).nonzero()[:, 1].tolist() == sorted(
                set(example.labels or ())
            )


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(examples(), RANDOMS)
def test_what_was_written_in_any_legal_form_is_read(
    found: list[Example], rng: random.Random
) -> None:
    assert_read_as_written([Wild(rng).record(example) for example in found], found)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(examples(), RANDOMS)
def test_what_writers_really_produce_is_read_in_step(
    found: list[Example], rng: random.Random
) -> None:
    records = [Plain(rng).record(example) for example in found]
    assert_read_as_written(records, found)
    data = b"".join(records) + bytes(64)
    stops = np.cumsum([len(record) for record in records])
    block = BatchParser(memoryview(data)).parse(stops - [len(record) for record in records], stops)
    assert block.parsed.tolist() == [example.id.isascii() for example in found]


def same(one: ShardIndex, other: ShardIndex) -> bool:
    a, b = dataclasses.asdict(one), dataclasses.asdict(other)
    columns = a.pop("columns"), b.pop("columns")
    return columns[0].keys() == columns[1].keys() and all(
        np.array_equal(first[key], second[key])
        for first, second in [
            (a, b),
            *((columns[0][name], columns[1][name]) for name in columns[0]),
        ]
        for key in first
    )


@settings(max_examples=30, deadline=None)
@given(examples(), RANDOMS, st.booleans())
def test_both_parsers_agree_on_damaged_records_too(
    found: list[Example], rng: random.Random, wild: bool
) -> None:
    encoder = (Wild if wild else Plain)(rng)
    records = []
    for example in found:
        record = bytearray(encoder.record(example))
        for _ in range(rng.randrange(3)):
            record[rng.randrange(min(len(record), 60)) if rng.random() < 0.7 else -1] = (
                rng.randrange(256)
            )
        records.append(bytes(record))
    records.append(Plain(rng).record(found[0]) + b"")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = written(folder, [*records, bytes(40)])
        quick = index_shard(path)
        real = BatchParser.parse

        def parse_nothing(self: BatchParser, starts: np.ndarray, stops: np.ndarray) -> object:
            block = real(self, starts[:0], stops[:0])
            count = len(starts)
            return dataclasses.replace(
                block,
                parsed=np.zeros(count, bool),
                ids=np.zeros((count, 2), np.int64),
                labelled=np.zeros(count, bool),
            )

        patch.setattr(BatchParser, "parse", parse_nothing)
        assert same(quick, index_shard(path))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        parse(memoryview(data), 0, len(data))


# ------------------------------------------------------------------------------------------- what is refused, and how

ENCODER = Plain(random.Random(0))
FRAMES = np.arange(12, dtype=np.uint8).reshape(4, 3)


def record(frames: bytes, name: str = "rgb", context: bytes = b"") -> bytes:
    identity = ENCODER.entry("id", ENCODER.field(2, ENCODER.field(1, ENCODER.field(1, b"v"))))
    return ENCODER.field(1, identity + context) + ENCODER.field(
        2, ENCODER.entry(name, ENCODER.field(2, frames))
    )


def feature(*values: bytes, kind: int = 1) -> bytes:
    return ENCODER.field(
        1, ENCODER.field(kind, b"".join(ENCODER.field(1, value) for value in values))
    )


def fault(frames: bytes) -> tuple[int, int]:
    data = record(frames)
    found = parse(memoryview(data), 0, len(data)).lists["rgb"]
    return found.frames, found.base


def test_several_values_in_a_frame_are_refused_by_name() -> None:
    assert fault(feature(b"abc") + feature(b"abc", b"def")) == (Fault.NOT_ONE_VALUE, 1)


def test_a_frame_without_a_value_is_refused() -> None:
    assert fault(feature(b"abc") + feature()) == (Fault.NOT_ONE_VALUE, 1)


def test_float_frames_are_refused() -> None:
    assert fault(feature(bytes(8), kind=2)) == (Fault.NOT_BYTES, 0)


def test_a_short_and_a_long_frame_that_cancel_are_seen() -> None:
    assert fault(feature(b"abc") + feature(b"ab") + feature(b"abcd")) == (Fault.UNEQUAL, 1)


def test_an_empty_frame_is_refused() -> None:
    assert fault(feature(b"")) == (Fault.UNEQUAL, 0)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x0a\xff\xff\xff\xff\x7f", "a field of 34359738367 bytes does not fit the 0 bytes"),
        (
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            "9223372036854775807 in 9 bytes is not a length",
        ),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "longer than 64 bits"),
        (b"\x0a\x85", "cut off"),
        (b"\x0c", "out of place"),
        (b"\x4b\x08", "cut off"),
        (b"\x4b\x54", "did not begin"),
        (b"\x02\x00", "not a field number"),
        (b"\x4b" * 500, "more than 90 groups are inside one another"),
    ],
)
def test_hostile_bytes_are_refused(data: bytes, why: str) -> None:
    with pytest.raises(WireError, match=why):
        parse(memoryview(data), 0, len(data))


def labelled(feature: bytes) -> bytes:
    return record(
        ENCODER.feature_list(FRAMES)[2:], context=ENCODER.entry("labels", ENCODER.field(2, feature))
    )


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (labelled(ENCODER.labels([3, -1])), "its label -1 is not a class number"),
        (labelled(ENCODER.labels([2**40])), "its label 1099511627776 is not a class number"),
        (
            labelled(ENCODER.field(2, ENCODER.field(1, bytes(4)))),
            "its 'labels' are floats, not integers",
        ),
        (record(b""), "it holds no frames"),
        (
            ENCODER.field(1, ENCODER.entry("mean_rgb", b"")),
            "this is a video-level shard .it holds mean_rgb and no frames",
        ),
        (
            ENCODER.field(2, ENCODER.entry("rgb", ENCODER.field(2, feature(b"abc")))),
            "neither 'id' nor 'video_id'",
        ),
    ],
)
def test_unusable_records_say_why(data: bytes, why: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=why):
        ShardVideos([written(tmp_path, [data])], ["rgb"])


def test_one_list_too_many_costs_its_own_record_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("index", "batch_parser"):
        monkeypatch.setattr(f"distillbench.data.tfrecord.{module}.MOST_LISTS", 1)
    records = [record(feature(b"abc"), name) for name in ("rgb", "audio", "rgb")]
    index = index_shard(written(tmp_path, records))
    assert index.bad == (
        (len(records[0]) + 16, "with it the shard has more than 1 different lists"),
    )
    assert len(index) == 2


def test_tensorflow_reads_what_is_written_here() -> None:
    tensorflow = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    found = Example("id", "abcd", [1, 5], dict.fromkeys(LISTS, FRAMES))
    for encoder in (Plain(random.Random(1)), Wild(random.Random(2))):
        context, lists = tensorflow.io.parse_single_sequence_example(
            encoder.record(found),
            {
                "id": tensorflow.io.FixedLenFeature([], tensorflow.string),
                "labels": tensorflow.io.VarLenFeature("int64"),
            },
            {name: tensorflow.io.FixedLenSequenceFeature([], tensorflow.string) for name in LISTS},
        )
        assert context["id"].numpy() == b"abcd"
        assert sorted(context["labels"].values.numpy()) == [1, 5]
        assert [bytes(row) for row in lists["rgb"].numpy()] == [row.tobytes() for row in FRAMES]
