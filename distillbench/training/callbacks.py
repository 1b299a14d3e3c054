"""What the training loop tells whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Observer:
    """Hears of every step and epoch; does nothing with it unless a method is overridden."""

    def run_started(self, run: Mapping[str, Any]) -> None:
        """A run begins: its `id`, its `setup` and the folder of `results`."""

    def phase_started(self, name: str, epochs: int, steps: int, done: int) -> None:
        """A phase of so many epochs of so many steps begins, or goes on after `done` steps."""

    def step_ended(self) -> None:
        """One step was made."""

    def epoch_ended(self, row: Mapping[str, Any]) -> None:
        """An epoch was trained and validated; `row` is its line in the history."""

    def run_ended(self, result: Mapping[str, Any]) -> None:
        """A run has its result, which was written."""

    def message(self, message: str) -> None:
        """Something a user wants to know happened, such as a stored teacher being used."""


SILENT = Observer()
