"""Checkpoints: the state of a run on disk, from which a killed run resumes bit-identically."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
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
    """How far a run is, and what the finished epochs found.

    phase, epoch, step: the next step to make, each counted from 0.
    history: one row per finished epoch.
    sums: each learner's loss terms, summed over the videos of the current epoch so far.
    best: by learner, the worth (`MetricSet.worth`) and the number of the best epoch.
    seconds: the time spent in training steps so far.
    """

    phase: int = 0
    epoch: int = 0
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    best: dict[str, tuple[float, int]] = field(default_factory=dict)
    seconds: float = 0.0


class Checkpoints:
    """The file with the latest state of one run.

    The state is the run's weights, its optimizer's state, the best weights so far and its
    `Progress`. There is no random state: every draw has a seed of its own.
    """

    def __init__(self, path: Path | None, key: str, minutes: float = 5.0) -> None:
        """Opens a run's file.

        path: the file; None saves nothing.
        key: identifies the run, so that another run's state is not loaded.
        minutes: how often the state is saved within an epoch.
        """
        self.path = path
        self._key = key
        self._seconds = 60 * minutes
        self._last_saved = time.monotonic()

    def due(self) -> bool:
        """Tells whether it is time to save the state again."""
        return self.path is not None and time.monotonic() - self._last_saved > self._seconds

    def save(self, tensors: dict[str, Tensor], progress: Progress) -> None:
        """Replaces the last state.

        Raises `ResultError` if the file cannot be written; the last state is then left unchanged.
        """
        if self.path is None:
            return
        # Set before writing: a disk that stays full is tried at this interval, not at every step.
        self._last_saved = time.monotonic()
        save_tensors(self.path, tensors, {"key": self._key, "progress": vars(progress)})

    def load(self) -> tuple[dict[str, Tensor], Progress] | None:
        """Returns the last state of this run; None if there is none, or if it is another run's.

        Raises `ResultError`, which names the file, if it is damaged.
        """
        if self.path is None or not self.path.exists():
            return None
        tensors, about = load_tensors(self.path)
        if about.get("key") != self._key:
            return None
        try:
            return tensors, _parsed_progress(about["progress"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self.damaged(f"{type(error).__name__}: {error}") from error

    def damaged(self, reason: str) -> ResultError:
        """Returns the error for a state that cannot be used."""
        return ResultError(f"'{self.path}' is not a valid checkpoint: {reason}")

    def clear(self) -> None:
        """Removes the state of a run that has ended."""
        if self.path is None:
            return
        # The run has its result: an error here must not take it away. The next run reports it.
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def _parsed_progress(stored: Mapping[str, Any]) -> Progress:
    """Reads a stored `Progress`; raises ValueError or TypeError if a field is missing or wrong."""
    progress = Progress(**stored)
    counts = (progress.phase, progress.epoch, progress.step)
    # `type`, not `isinstance`: JSON's true is an int in Python.
    if any(type(count) is not int or count < 0 for count in counts):
        raise ValueError(
            f"it resumes in phase {counts[0]}, epoch {counts[1]}, step {counts[2]}; "
            "each must be an integer of at least 0"
        )
    check_history(progress.history)
    progress.sums = {str(name): float(total) for name, total in progress.sums.items()}
    best = {}
    for network, (worth, epoch) in progress.best.items():
        best[network] = (float(worth), int(epoch))
    progress.best = best
    progress.seconds = float(progress.seconds)
    return progress


def check_history(rows: object) -> None:
    """Raises ValueError unless these are history rows as the training loop writes them."""
    if not isinstance(rows, list):
        raise ValueError("its history is not a list")
    for row in rows:
        for number in _numbers_of(row):
            if not isinstance(number, int | float) or isinstance(number, bool):
                raise ValueError("its history has a value that is not a number")


def _numbers_of(row: object) -> Iterator[object]:
    """Yields what must be numbers in a history row; raises ValueError if its structure is wrong."""
    networks = row.get("networks") if isinstance(row, dict) else None
    if (
        not isinstance(row, dict)
        or not isinstance(networks, dict)
        or not isinstance(row.get("phase"), str)
    ):
        raise ValueError("its history has a row that does not describe an epoch")
    for name in ("epoch", "examples", "steps", "seconds", "learning_rate"):
        yield row.get(name)
    for found in networks.values():
        terms = found.get("terms") if isinstance(found, dict) else None
        validation = found.get("validation") if isinstance(found, dict) else None
        if not isinstance(terms, dict) or not isinstance(validation, dict):
            raise ValueError("its history has a row without terms or validation metrics")
        yield found.get("best")
        yield from terms.values()
        for metric in validation.values():
            if metric is not None:  # a metric that could not be computed
                yield metric


def mismatch(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Describes how stored tensors differ from the expected ones; empty if they fit."""
    for name, tensor in expected.items():
        if name not in found:
            return f"it lacks {name}"
        if found[name].shape != tensor.shape:
            return f"{name} is of shape {tuple(found[name].shape)}, not {tuple(tensor.shape)}"
        if not bool(torch.isfinite(found[name].double()).all()):
            return f"{name} holds a number that is not finite"
    extra = sorted(found.keys() - expected.keys())
    return f"it has {extra[0]}, which this run does not have" if extra else ""
