"""An encoder of records that shares nothing with the parsers: as writers do it, or in any way that means the same."""

from __future__ import annotations

import dataclasses
import io
import random
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from distillbench.data.tfrecord.framing import write_record

LISTS = ("rgb", "audio")


def varint(value: int, padding: int = 0) -> bytes:
    value %= 1 << 64
    digits = []
    while True:
        digits.append(value % 128)
        value //= 128
        if not value:
            break
    digits += [0] * min(padding, 10 - len(digits))
    return bytes(digit + 128 for digit in digits[:-1]) + bytes(digits[-1:])


class Plain:
    """Encodes as writers do."""

    wild = False

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def maybe(self) -> bool:
        return self.wild and self.rng.random() < 0.3

    def field(self, number: int, value: bytes) -> bytes:
        padding = self.rng.randrange(4) if self.maybe() else 0
        return varint(number * 8 + 2, padding) + varint(len(value), padding) + value

    def unknown(self) -> bytes:
        if not self.maybe():
            return b""
        group = varint(9 * 8 + 3) + varint(5 * 8) + varint(7) + varint(9 * 8 + 4)
        choices = [
            varint(11 * 8) + varint(2**64 - 1),
            varint(12 * 8 + 1) + b"8 bytes!",
            varint(13 * 8 + 5) + b"four",
        ]
        return self.rng.choice([*choices, group, self.field(14, b"abc"), varint(2 * 8) + varint(3)])

    def message(self, number: int, parts: list[bytes]) -> bytes:
        """One field, or where wild several that merge into it."""
        parts = [part for each in parts for part in (each, self.unknown())]
        if self.maybe():
            cut = self.rng.randrange(len(parts) + 1)
            return self.field(number, b"".join(parts[:cut])) + self.field(
                number, b"".join(parts[cut:])
            )
        return self.field(number, b"".join(parts))

    def entry(self, key: str, value: bytes) -> bytes:
        named = self.field(1, key.encode())
        return self.field(1, value + named if self.maybe() else named + value)

    def labels(self, labels: list[int]) -> bytes:
        if self.maybe():
            return self.message(3, [varint(8) + varint(label) for label in labels])
        if self.maybe():
            return self.message(
                3, [self.field(1, b"".join(map(varint, half))) for half in (labels[:1], labels[1:])]
            )
        return self.message(3, [self.field(1, b"".join(map(varint, labels)))])

    def feature_list(self, frames: np.ndarray) -> bytes:
        features = [
            self.message(1, [self.message(1, [self.field(1, row.tobytes())])]) for row in frames
        ]
        if (
            self.wild
        ):  # a repeated field does not merge: an element that was cut in two would be two
            features = [
                self.field(1, self.message(1, [self.field(1, row.tobytes())]) + self.unknown())
                for row in frames
            ]
        return self.message(2, features)

    def record(self, example: Example) -> bytes:
        context = [
            self.entry(
                example.key,
                self.message(2, [self.message(1, [self.field(1, example.id.encode())])]),
            )
        ]
        if example.labels is not None:
            context.append(self.entry("labels", self.message(2, [self.labels(example.labels)])))
        context.append(
            self.entry("mean_rgb", self.message(2, [self.field(2, self.field(1, bytes(8)))]))
        )
        lists = [
            self.entry(name, self.feature_list(frames)) for name, frames in example.frames.items()
        ]
        self.rng.shuffle(context)
        self.rng.shuffle(lists)
        if self.maybe():  # of two entries with one key the later counts
            lists.insert(0, self.entry("rgb", self.feature_list(np.zeros((1, 3), np.uint8))))
        parts = [self.message(1, context), self.message(2, lists)]
        return b"".join(parts[::-1] if self.maybe() else parts)


class Wild(Plain):
    """Encodes in any way that means the same."""

    wild = True


@dataclasses.dataclass
class Example:
    key: str
    id: str
    labels: list[int] | None
    frames: dict[str, np.ndarray]


@st.composite
def examples(draw: st.DrawFn) -> list[Example]:
    widths = {name: draw(st.integers(1, 300)) for name in LISTS}
    seed = np.random.default_rng(draw(st.integers(0, 9)))
    found = []
    for number in range(draw(st.integers(1, 5))):
        count = draw(st.integers(1, 12))
        frames = {
            name: seed.integers(0, 256, (count, width), dtype=np.uint8)
            for name, width in widths.items()
        }
        labels = draw(st.lists(st.integers(0, 4000), max_size=5) | st.none())
        key = draw(st.sampled_from(["id", "video_id"]))
        found.append(Example(key, f"{number}{draw(st.text(max_size=6))}", labels, frames))
    return found


def written(folder: str | Path, records: list[bytes]) -> Path:
    file = io.BytesIO()
    for record in records:
        write_record(file, record)
    path = Path(folder) / "shard.tfrecord"
    path.write_bytes(file.getvalue())
    return path


PLAIN = Plain(random.Random(0))


def frame(value: bytes) -> bytes:
    return PLAIN.field(1, PLAIN.field(1, PLAIN.field(1, value)))


def context(key: bytes, value: bytes) -> bytes:
    """An entry of the context. value: the encoding of its `Feature`."""
    return PLAIN.field(1, PLAIN.field(1, key) + PLAIN.field(2, value))


def listed(key: bytes, *values: bytes) -> bytes:
    """An entry of the lists. values: encodings of a `FeatureList`."""
    return PLAIN.field(1, PLAIN.field(1, key) + b"".join(PLAIN.field(2, value) for value in values))


NAMED = context(b"id", PLAIN.field(1, PLAIN.field(1, b"v")))
RGB = listed(b"rgb", frame(b"abc") * 9)


def record(more: bytes = b"", lists: bytes = RGB, end: bytes = b"") -> bytes:
    return PLAIN.field(1, NAMED + more) + PLAIN.field(2, lists) + end
