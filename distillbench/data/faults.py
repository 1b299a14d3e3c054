"""What is wrong with the videos of a data set: told all at once, or left out and counted."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from distillbench.data.naming import shortened
from distillbench.errors import DataError

_SHOWN = 20
_LOG = logging.getLogger(__name__)


class FaultsError(DataError):
    """Lists what is wrong with the videos of a data set: the first 20, and how many more.

    problems: a line each.
    """

    def __init__(self, place: Path, first: Sequence[str], count: int) -> None:
        """first: of the first faults, the video's name and what is wrong; count: of all."""
        more = count - len(first)
        self.problems = (
            f"{place}: {count:,} of its videos cannot be used; mend them, or leave them out with"
            " data.skip_bad_records=true",
            *first,
            *([f"and {more:,} more"] if more else []),
        )
        super().__init__("\n".join(self.problems))


class Faults:
    """Gathers what is wrong with single videos."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._reasons: Counter[str] = Counter()

    def add(self, video: str, reason: str, detail: str = "") -> None:
        """Adds a fault of a video.

        reason: what all videos with this fault have in common, which they are counted by.
        detail: what is so of this video alone.
        """
        self._reasons[reason] += 1
        if len(self._first) < _SHOWN:
            self._first.append(f"{shortened(video)}: {reason}{detail and f' ({detail})'}")

    def settle(self, place: Path, *, skip: bool) -> Mapping[str, int]:
        """Returns how many videos are left out, by reason, and logs it.

        Raises `FaultsError` where there are faults that are not to be skipped.
        """
        count = self._reasons.total()
        if count and not skip:
            raise FaultsError(place, self._first, count)
        if count:
            why = "; ".join(f"{count} x {reason}" for reason, count in self._reasons.most_common(5))
            _LOG.warning("left out %d videos of %s: %s", count, place, why)
        return dict(self._reasons)
