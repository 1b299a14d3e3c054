"""Millions of ids as one stretch of bytes: decoded when asked for, hashed all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from distillbench.data.spill import spilled


class Ids(Sequence[str]):
    """V ids, read-only; id v is the UTF-8 text that begins at byte starts[v] of `text`."""

    def __init__(self, text: NDArray[np.uint8], starts: NDArray[np.int64], sizes: NDArray[np.int32]) -> None:
        self._text, self._starts, self._sizes = text, starts, sizes

    @classmethod
    def joined(cls, parts: Sequence[tuple[NDArray[np.uint8], NDArray[np.int64]]]) -> Ids:
        """Joins ids given as (text, where each id ends)."""
        sizes = np.concatenate([np.diff(ends, prepend=0) for _, ends in parts]).astype(np.int32)
        starts = np.cumsum(sizes, dtype=np.int64) - sizes
        return cls(spilled(np.concatenate([text for text, _ in parts])), spilled(starts), spilled(sizes))

    @classmethod
    def of(cls, ids: Sequence[str]) -> Ids:
        """Packs ids."""
        encoded = [each.encode() for each in ids]
        ends = np.cumsum([len(each) for each in encoded], dtype=np.int64)
        return cls.joined([(np.frombuffer(b"".join(encoded), np.uint8), ends)])

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Ids: ...
    def __getitem__(self, index: int | slice) -> str | Ids:
        if isinstance(index, slice):
            return Ids(self._text, self._starts[index], self._sizes[index])
        start = int(self._starts[index])
        return self._text[start : start + int(self._sizes[index])].tobytes().decode()

    def take(self, videos: NDArray[np.int64]) -> Ids:
        """Returns the ids of some videos, in their order; the text is shared."""
        return Ids(self._text, spilled(self._starts[videos]), spilled(self._sizes[videos]))

    def hashes(self, seed: int = 0) -> NDArray[np.uint64]:
        """Returns one number an id, (V,), that depends on nothing but the id and the seed, on any machine.

        FNV-1a over the bytes of the id, mixed with the seed by the finaliser of splitmix64.
        """
        with np.errstate(over="ignore"):
            value = np.full(len(self), 0xCBF29CE484222325, np.uint64)
            for place in range(int(self._sizes.max(initial=0))):
                (longer,) = np.nonzero(self._sizes > place)
                byte = self._text[self._starts[longer] + place].astype(np.uint64)
                value[longer] = (value[longer] ^ byte) * np.uint64(0x100000001B3)
            return _mixed(value ^ _mixed(np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64)))

    def repeated(self) -> NDArray[np.int64]:
        """Returns the places of ids that occur earlier too, ascending."""
        hashes = self.hashes()
        order = np.argsort(hashes, kind="stable")
        (same,) = np.nonzero(hashes[order][1:] == hashes[order][:-1])
        seen: set[str] = set()
        again = []
        for video in np.unique(np.concatenate([order[same], order[same + 1]])).tolist():
            if self[video] in seen:
                again.append(video)
            seen.add(self[video])
        return np.array(again, np.int64)


def _mixed(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
