"""Millions of ids as one array of bytes: decoded when needed, hashed all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from distillbench.data.memory.scratch_arrays import joined, steps, taken
from distillbench.seeds import splitmix64

_FIRST = np.ones(1, np.uint64)


class Ids(Sequence[str]):
    """V ids, read-only; id v is the UTF-8 text that begins at byte starts[v] of `text`."""

    def __init__(
        self, text: NDArray[np.uint8], starts: NDArray[np.int64], sizes: NDArray[np.int32]
    ) -> None:
        self._text, self._starts, self._sizes = text, starts, sizes

    @classmethod
    def joined(cls, parts: Sequence[tuple[NDArray[np.uint8], NDArray[np.int64]]]) -> Ids:
        """Joins ids given as (text, where each id ends)."""
        count = sum(len(ends) for _, ends in parts)
        before = np.cumsum([0, *(len(text) for text, _ in parts)]).tolist()
        return cls(
            joined(before[-1], np.uint8, (text for text, _ in parts)),
            joined(
                count,
                np.int64,
                (
                    np.concatenate([[0], ends])[:-1] + at
                    for at, (_, ends) in zip(before, parts, strict=False)
                ),
            ),
            joined(count, np.int32, (np.diff(ends, prepend=0) for _, ends in parts)),
        )

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
        return Ids(self._text, taken(self._starts, videos), taken(self._sizes, videos))

    def hashes(self, seed: int = 0) -> NDArray[np.uint64]:
        """Hashes each id with a seed, (V,), to the same number on every machine.

        FNV-1a over the bytes of the id, mixed with the seed by splitmix64.
        """
        pieces = (
            self._hashed(self._starts[step], self._sizes[step], seed) for step in steps(len(self))
        )
        return joined(len(self), np.uint64, pieces)

    def _hashed(
        self, starts: NDArray[np.int64], sizes: NDArray[np.int32], seed: int
    ) -> NDArray[np.uint64]:
        with np.errstate(over="ignore"):
            value = np.full(len(starts), 0xCBF29CE484222325, np.uint64)
            for place in range(int(sizes.max(initial=0))):
                (longer,) = np.nonzero(sizes > place)
                byte = self._text[starts[longer] + place].astype(np.uint64)
                value[longer] = (value[longer] ^ byte) * np.uint64(0x100000001B3)
            mixed = splitmix64(np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64), _FIRST)
            return splitmix64(value ^ mixed, _FIRST)

    def repeated(self) -> NDArray[np.int64]:
        """Returns the places of ids that occur earlier too, ascending."""
        hashes = self.hashes()
        ordered = joined(len(self), np.uint64, (hashes[step] for step in steps(len(self))))
        ordered.sort()
        shared = ordered[1:][ordered[1:] == ordered[:-1]]
        if not len(shared):
            return np.zeros(0, np.int64)
        seen: set[str] = set()
        again = []
        for video in np.flatnonzero(np.isin(hashes, shared)).tolist():
            if self[video] in seen:
                again.append(video)
            seen.add(self[video])
        return np.array(again, np.int64)
