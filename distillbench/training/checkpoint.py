"""Where a run stands, kept so that a killed run goes on as if nothing had happened."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distillbench.errors import ResultError
from distillbench.storage import load_tensors, save_tensors


@dataclass
class Progress:
    """What is next, and what was learnt on the way.

    phase, epoch, step: the first step that was not made yet. sums: each learner's loss terms summed over the epoch's
    videos so far. best: by learner, the best epoch's worth (`MetricSet.worth`) and number. seconds: spent training so far.
    """

    phase: int = 0
    epoch: int = 0
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    best: dict[str, tuple[float, int]] = field(default_factory=dict)
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
        """Returns the last state of this very run, or None where there is none.

        Raises `ResultError` that names the file where it is damaged.
        """
        if self.path is None or not self.path.exists():
            return None
        tensors, about = load_tensors(self.path)
        if about.get("key") != self._key:
            return None
        try:
            return tensors, _progress(about["progress"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self.damaged(f"{type(error).__name__}: {error}") from error

    def damaged(self, why: str) -> ResultError:
        """Makes the error that says what is wrong with the last state."""
        return ResultError(f"'{self.path}' is no state of a run: {why}")

    def clear(self) -> None:
        """Forgets the state of a run that ended."""
        if self.path is not None:
            with suppress(
                OSError
            ):  # the run has its result; what stands in the way is found by the next one
                self.path.unlink(missing_ok=True)


def _progress(told: Mapping[str, Any]) -> Progress:
    """Reads what was next, and what was learnt; raises ValueError or TypeError where it is none of that."""
    progress = Progress(**told)
    counts = (progress.phase, progress.epoch, progress.step)
    if any(type(count) is not int or count < 0 for count in counts):
        raise ValueError(f"it goes on in phase {counts[0]}, epoch {counts[1]}, step {counts[2]}")
    check_history(progress.history)
    progress.sums = {str(name): float(value) for name, value in progress.sums.items()}
    progress.best = {
        network: (float(worth), int(epoch)) for network, (worth, epoch) in progress.best.items()
    }
    progress.seconds = float(progress.seconds)
    return progress


def check_history(rows: object) -> None:
    """Raises ValueError unless these are rows of a history, as the training loop writes them."""
    if not isinstance(rows, list):
        raise ValueError("its history is no list")
    for row in rows:
        networks = row.get("networks") if isinstance(row, dict) else None
        if not isinstance(networks, dict) or not isinstance(row.get("phase"), str):
            raise ValueError("its history has a row that is no epoch")
        numbers = [
            row.get(name) for name in ("epoch", "examples", "steps", "seconds", "learning_rate")
        ]
        for learnt in networks.values():
            terms = learnt.get("terms") if isinstance(learnt, dict) else None
            validation = learnt.get("validation") if isinstance(learnt, dict) else None
            if not isinstance(terms, dict) or not isinstance(validation, dict):
                raise ValueError("its history has an epoch in which nothing was learnt")
            numbers += [learnt.get("best"), *terms.values()]
            numbers += [value for value in validation.values() if value is not None]
        if any(
            not isinstance(number, int | float) or isinstance(number, bool) for number in numbers
        ):
            raise ValueError("its history has a number that is none")


def mismatch(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Says why stored tensors are not those of a network; nothing where they are."""
    for name, tensor in expected.items():
        if name not in found:
            return f"it lacks {name}"
        if found[name].shape != tensor.shape:
            return f"{name} is of shape {tuple(found[name].shape)}, not {tuple(tensor.shape)}"
        if not bool(torch.isfinite(found[name].double()).all()):
            return f"{name} holds a number that is not finite"
    others = sorted(found.keys() - expected.keys())
    return f"it has {others[0]}, which there is not" if others else ""
