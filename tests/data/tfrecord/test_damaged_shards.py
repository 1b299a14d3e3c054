"""Whole files that are damaged in any way: they are read, or refused in words, and cost little."""

from __future__ import annotations

import random
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from data.wire import Plain, Wild, varint

from distillbench.data import ShardVideos, inspect
from distillbench.data.tfrecord.framing import masked_crc
from distillbench.errors import DataError

SHARDS = 2000
MOST_MEMORY = 64 << 20
LENGTHS = [0, 1, 11, 12, 2**16, 2**28, 2**31, 2**32 - 1, 2**60, 2**63, 2**64 - 17, 2**64 - 1]


def framed(payload: bytes, length: int | None = None) -> bytes:
    """A record whose checksums are right, whatever its length says."""
    begin = struct.pack("<Q", len(payload) if length is None else length)
    return (
        begin
        + struct.pack("<I", masked_crc(begin))
        + payload
        + struct.pack("<I", masked_crc(payload))
    )


def payloads(rng: random.Random) -> Iterator[bytes]:
    encoder = rng.choice([Plain, Plain, Wild])(rng)
    for number in range(rng.randrange(6)):
        name = rng.choice(["rgb"] * 6 + ["audio", "ä"])
        width, count = rng.choice([3, 3, 3, 4]), rng.choice([0, 1, 2, 3, 3])
        context = encoder.entry("id", one(encoder, f"v{rng.choice([number, 0])}".encode()))
        labels = [rng.choice([0, 3, 300] * 6 + [10**6, 2**31 - 1]) for _ in range(rng.randrange(3))]
        context += encoder.entry("labels", encoder.message(2, [encoder.labels(labels)]))
        frames = np.full((count, width), number, np.uint8)
        listed = encoder.entry(name, encoder.feature_list(frames))
        yield encoder.message(1, [context]) + encoder.message(2, [listed])


def one(encoder: Plain, value: bytes) -> bytes:
    return encoder.message(2, [encoder.message(1, [encoder.field(1, value)])])


def harmed(payload: bytes, rng: random.Random) -> bytes:
    """Changes bytes of a payload, whose checksum is made after that."""
    data = bytearray(payload or b"\0")
    for _ in range(rng.choice([0, 0, 0, 0, 1, 4])):
        place = rng.randrange(min(len(data), 60))
        how = rng.randrange(3)
        if how == 0:
            data[place] = rng.randrange(256)
        elif how == 1:
            data[place:place] = varint(rng.choice(LENGTHS))
        else:
            del data[place:]
            data += b"\0"
    return bytes(data)


def damaged_file(rng: random.Random) -> bytes:
    records = [framed(harmed(payload, rng)) for payload in payloads(rng)]
    if rng.random() < 0.2:
        records.insert(
            rng.randrange(len(records) + 1), framed(b"abc" * rng.randrange(20), rng.choice(LENGTHS))
        )
    data = b"".join(records)
    how = rng.randrange(12)
    place, other = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    if how == 0:
        return data[:place]
    if how == 1:
        return data[place:]
    if how == 2:
        return data[:place] + data[other:]
    if how == 3:
        return data[:other] + data[place:]
    if how == 4:
        return data[:place] + rng.randbytes(rng.randrange(40)) + data[place:]
    if how == 5:
        return rng.choice(
            [
                b"",
                b"\x1f\x8b",
                b"\x89PNG",
                bytes(100),
                b"\xff" * 100,
                rng.randbytes(rng.randrange(90)),
            ]
        )
    if how == 6 and data:
        return (
            data[:place]
            + bytes([data[min(place, len(data) - 1)] ^ 1 << rng.randrange(8)])
            + data[place + 1 :]
        )
    return data


def read_everything(path: Path, skip: bool) -> None:
    videos = ShardVideos([path], ["rgb"], skip_bad_records=skip, needs_labels=False)
    longest = int(videos.lengths.max())
    times = torch.arange(longest).expand(len(videos), -1)
    read = videos.read(
        torch.arange(len(videos)), torch.where(times < videos.lengths[:, None], times, -1)
    )
    assert read.shape == (len(videos), longest, videos.width)
    assert len(set(videos.ids)) == len(videos)


@contextmanager
def memory_watched() -> Iterator[None]:
    """Makes sure that little memory was taken at any time; watching costs as much as all the rest."""
    tracemalloc.start()
    try:
        yield
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < MOST_MEMORY


def test_a_damaged_shard_is_read_or_refused_and_costs_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        "distillbench.data.tfrecord.index_cache._keep", lambda *_: None
    )  # most of the time would go into it
    caplog.set_level("CRITICAL")
    path = tmp_path / "shard.tfrecord"
    refusals = []
    for seed in range(SHARDS):
        rng = random.Random(seed)
        path.write_bytes(damaged_file(rng))
        try:
            with memory_watched() if seed % 10 == 0 else nullcontext():
                inspect(path)
                read_everything(path, skip=rng.random() < 0.8)
        except DataError as error:
            refusals.append(str(error))
        except Exception as error:
            pytest.fail(f"shard {seed}: {error!r}")
    assert SHARDS // 8 < len(refusals) < SHARDS * 7 // 8
    assert all(str(path) in refusal for refusal in refusals)
