"""What the training loop reports while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Observer:
    """Is called at every step and epoch of a run; does nothing unless a method is overridden."""

    def run_started(self, run: Mapping[str, Any]) -> None:
        """A run begins: its `id`, its `setup` and the folder of `results`."""

    def phase_started(self, name: str, epochs: int, steps: int, done: int) -> None:
        """A phase begins, or resumes.

        name: the phase's name.
        epochs: the number of epochs in the phase.
        steps: the number of steps in an epoch.
        done: the number of steps that were made before, 0 unless the phase resumes.
        """

    def step_ended(self) -> None:
        """A training step was made."""

    def epoch_ended(self, row: Mapping[str, Any]) -> None:
        """An epoch was trained and validated; `row` is its row of the history."""

    def run_ended(self, result: Mapping[str, Any]) -> None:
        """A run has ended; `result` is what was written."""

    def message(self, message: str) -> None:
        """Something a user wants to know happened, such as a stored teacher being used."""


SILENT = Observer()
