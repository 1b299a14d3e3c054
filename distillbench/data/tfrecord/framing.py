"""TFRecord framing: length (u64, little-endian), its CRC-32C, payload, its CRC-32C.

Both checksums are masked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from crc32c import crc32c

_HEADER = struct.Struct("<QI")
_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
NO_TFRECORD = "this is not a TFRecord file"
"""Part of the reason of a first record that looks like none."""

_GZIP = b"\x1f\x8b"


class Record(NamedTuple):
    """One record of a shard.

    The file's bytes [start, stop) are its payload, `offset` is where its framing begins.

    checksum: what the payload's must be (`damaged`).
    problem: None, or why there is no payload to be read.
    """

    offset: int
    start: int
    stop: int
    checksum: int
    problem: str | None = None


def masked_crc(data: bytes | memoryview) -> int:
    """Returns the CRC-32C of `data`, rotated and offset as TFRecord wants it."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data: memoryview) -> Iterator[Record]:
    """Walks the records of a shard.

    Their lengths are verified here, their payloads are left to `damaged`.

    A bad length costs the rest of the shard, because the next record cannot be found:
    the record with it is the last.
    """
    offset, size = 0, len(data)
    while offset < size:
        start = offset + _HEADER.size
        if start > size:
            yield _lost(
                offset, size, f"truncated: {size - offset} bytes are left of its 12-byte header"
            )
            return
        length, checksum = _HEADER.unpack_from(data, offset)
        if masked_crc(data[offset : offset + 8]) != checksum:
            yield _lost(offset, size, _why_no_length(data, offset))
            return
        stop = start + length
        if stop + _CHECKSUM.size > size:
            left = size - start
            yield _lost(
                offset,
                size,
                f"truncated or damaged: its length says {length} bytes and {left} are left",
            )
            return
        yield Record(offset, start, stop, _CHECKSUM.unpack_from(data, stop)[0])
        offset = stop + _CHECKSUM.size


def damaged(data: memoryview, record: Record) -> str | None:
    """Verifies a payload against its checksum: returns what is wrong, or None."""
    if masked_crc(data[record.start : record.stop]) == record.checksum:
        return None
    return "its payload fails its checksum (damaged bytes)"


def _lost(offset: int, size: int, reason: str) -> Record:
    return Record(
        offset,
        offset,
        offset,
        0,
        f"{reason}; the last {size - offset} bytes of the file cannot be read",
    )


def _why_no_length(data: memoryview, offset: int) -> str:
    if offset:
        return "its length fails its checksum (damaged bytes)"
    if bytes(data[:2]) == _GZIP:
        return f"{NO_TFRECORD} but one compressed with gzip; decompress it first"
    return f"the first 12 bytes are no record header: {NO_TFRECORD}, or its beginning is damaged"


def write_record(file: BinaryIO, payload: bytes) -> None:
    """Appends one record to an open file."""
    length = _LENGTH.pack(len(payload))
    file.write(
        length + _CHECKSUM.pack(masked_crc(length)) + payload + _CHECKSUM.pack(masked_crc(payload))
    )
