"""Where a run stands, kept so that a killed run goes on as if nothing had happened."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from distillbench.errors import ResultError
from distillbench.interfaces import Network
from distillbench.storage import load_tensors, save_tensors


@dataclass
class Progress:
    """What is next, and what was learnt on the way.

    phase, epoch, step: the first step that was not made yet. sums: each learner's loss terms summed over the epoch's
    videos so far. best: by learner, the best epoch's validation GAP and number. seconds: spent training so far.
    """

    phase: int = 0
    epoch: int = 0
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    best: dict[Network, tuple[float, int]] = field(default_factory=dict)
    seconds: float = 0.0


class Checkpoints:
    """One file that holds the latest state of one run; nothing is kept where the path is None.

    The state of a run is its weights, its optimiser's state, the best weights so far and its `Progress`: every draw is
    made from a seed of its own, so there is no random state to keep.
    """

    def __init__(self, path: Path | None, key: str, minutes: float = 5.0) -> None:
        self.path, self._key, self._seconds, self._last = path, key, 60 * minutes, time.monotonic()

    def due(self) -> bool:
        """Tells whether so many minutes have passed since the last one."""
        return self.path is not None and time.monotonic() - self._last > self._seconds

    def save(self, tensors: dict[str, Tensor], progress: Progress) -> None:
        """Replaces the last state; raises `ResultError`, with the last state untouched, where it cannot."""
        if self.path is not None:
            self._last = time.monotonic()
            save_tensors(self.path, tensors, {"key": self._key, "progress": vars(progress)})

    def load(self) -> tuple[dict[str, Tensor], Progress] | None:
        """Returns the last state of this very run, or None where there is none or it is damaged."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            tensors, about = load_tensors(self.path)
        except ResultError:
            return None
        if about.get("key") != self._key:
            return None
        progress = Progress(**about["progress"])
        progress.best = {network: (gap, epoch) for network, (gap, epoch) in progress.best.items()}
        return tensors, progress

    def clear(self) -> None:
        """Forgets the state of a run that ended."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
