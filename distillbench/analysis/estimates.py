"""What was computed of runs' predictions, kept by everything that it depends on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RowEstimate:
    """A metric of one row: half the width of its interval, and how many seeds it is of."""

    half: float
    seeds: int


@dataclass
class Estimates:
    """Estimates by their keys.

    A key is a hash of everything that an estimate depends on, so that what is kept under it can
    only be right; where the key is empty, that is not known, and nothing is kept.

    kept: what was known before; used: what was asked for or added since.
    """

    kept: Mapping[str, object] = field(default_factory=dict)
    used: dict[str, object] = field(default_factory=dict)

    @property
    def has_more(self) -> bool:
        """Whether something was added."""
        return any(key not in self.kept for key in self.used)

    def row(self, key: str) -> RowEstimate | None:
        """Returns the estimate of a row, if it is known."""
        match self._found(key):
            case [float(half), int(seeds)] if math.isfinite(half) and half >= 0 and seeds > 0:
                return RowEstimate(half, seeds)
        return None

    def keep_row(self, key: str, estimate: RowEstimate) -> None:
        """Keeps the estimate of a row."""
        self._keep(key, [estimate.half, estimate.seeds])

    def best(self, key: str, rows: int) -> list[bool] | None:
        """Returns which of so many rows may be the best, if it is known."""
        found = self._found(key)
        if isinstance(found, str) and len(found) == rows and set(found) <= {"0", "1"}:
            return [digit == "1" for digit in found]
        return None

    def keep_best(self, key: str, best: Sequence[bool]) -> None:
        """Keeps which rows may be the best."""
        self._keep(key, "".join("1" if each else "0" for each in best))

    def _found(self, key: str) -> object:
        found = self.used.get(key, self.kept.get(key)) if key else None
        if found is not None:
            self.used[key] = found
        return found

    def _keep(self, key: str, value: object) -> None:
        if key:
            self.used[key] = value


def key_of(*parts: str) -> str:
    """Hashes what an estimate depends on; empty where a part is, or where there is none."""
    if not parts or not all(parts):
        return ""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()
