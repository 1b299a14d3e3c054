from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path

import numpy as np
import pytest

from distillbench.data import ShardVideos, Video, find_shards, write_shard
from distillbench.data.tfrecord.framing import damaged, masked_crc, records, write_record
from distillbench.errors import DataError, RecordError


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "shard.tfrecord"
    write_shard(
        path,
        [
            Video(f"v{number}", [number], {"rgb": np.full((3, 4), number, np.uint8)})
            for number in range(3)
        ],
    )
    return path


def opened(path: Path, skip: bool = False) -> ShardVideos:
    return ShardVideos([path], ["rgb"], skip_bad_records=skip)


def change(path: Path, place: int, value: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[place : place + len(value)] = value
    path.write_bytes(data)


def second(path: Path) -> int:
    """Where the second record begins."""
    return list(records(memoryview(path.read_bytes())))[1].offset


def test_the_checksum_is_that_of_the_published_example() -> None:
    assert (
        masked_crc(b"123456789")
        == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF
    )


def test_what_is_written_is_walked() -> None:
    file = io.BytesIO()
    for payload in (b"one", b"", b"three"):
        write_record(file, payload)
    data = memoryview(file.getvalue())
    found = list(records(data))
    assert [bytes(data[record.start : record.stop]) for record in found] == [b"one", b"", b"three"]
    assert not any(damaged(data, record) or record.problem for record in found)


def test_a_file_that_is_no_shard_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shard.tfrecord"
    path.write_text("Index,TrainVideoCount,KnowledgeGraphId\n")
    with pytest.raises(
        RecordError, match=r"shard.tfrecord: record at byte 0: .* this is not a TFRecord file"
    ):
        opened(path)


def test_a_gzipped_shard_is_named(shard: Path) -> None:
    shard.write_bytes(gzip.compress(shard.read_bytes()))
    with pytest.raises(RecordError, match="compressed with gzip; decompress it"):
        opened(shard)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shard.tfrecord"
    path.touch()
    with pytest.raises(DataError, match=r"shard.tfrecord: the file is empty"):
        opened(path)


def test_a_truncated_record_is_named_with_its_place(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes()[:-7])
    with pytest.raises(
        RecordError,
        match=r"record at byte \d+: truncated or damaged: its length says \d+ bytes and \d+",
    ):
        opened(shard)
    assert list(opened(shard, skip=True).ids) == ["v0", "v1"]


def test_a_truncated_header_is_named(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes() + b"\0\0\0")
    with pytest.raises(RecordError, match="truncated: 3 bytes are left of its 12-byte header"):
        opened(shard)


def test_a_flipped_bit_in_a_payload_costs_one_record(shard: Path) -> None:
    place = second(shard) + 30
    change(shard, place, bytes([shard.read_bytes()[place] ^ 4]))
    with pytest.raises(RecordError, match="payload fails its checksum"):
        opened(shard)
    videos = opened(shard, skip=True)
    assert list(videos.ids) == ["v0", "v2"]
    assert videos.skipped == {"its payload fails its checksum (damaged bytes)": 1}


def test_a_flipped_bit_in_a_length_costs_the_rest_of_the_shard_and_says_so(shard: Path) -> None:
    place = second(shard)
    change(shard, place, bytes([shard.read_bytes()[place] ^ 4]))
    with pytest.raises(
        RecordError,
        match=r"length fails its checksum .*; the last \d+ bytes of the file cannot be read",
    ):
        opened(shard)
    assert list(opened(shard, skip=True).ids) == ["v0"]


@pytest.mark.parametrize("checksum_fits", [True, False])
def test_a_length_of_two_to_the_sixtieth_is_refused(shard: Path, checksum_fits: bool) -> None:
    length = struct.pack("<Q", 2**60)
    change(
        shard, second(shard), length + struct.pack("<I", masked_crc(length) ^ (not checksum_fits))
    )
    why = (
        "its length says 1152921504606846976 bytes"
        if checksum_fits
        else "its length fails its checksum"
    )
    with pytest.raises(RecordError, match=why):
        opened(shard)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder, and no file matches it"):
        find_shards(str(tmp_path / "nowhere"))


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \*.tfrecord in this folder"):
        find_shards(str(tmp_path))


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone.tfrecord: cannot be read: No such file"):
        opened(tmp_path / "gone.tfrecord")
