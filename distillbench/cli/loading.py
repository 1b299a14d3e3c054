"""Loads results for a command, and says on standard error which files were left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distillbench.cli.terminal import echo
from distillbench.errors import ConfigError
from distillbench.results import leaderboard
from distillbench.results.leaderboard import Loaded


def complain(text: str) -> None:
    """Prints a line on standard error."""
    echo(text, err=True)


def loaded(folders: Sequence[Path] | None) -> Loaded:
    """Reads every result of the folders, `results` if none is named, and names each damaged file."""
    found = leaderboard.load(folders or [Path("results")])
    for reason in found.skipped:
        complain(f"skipped: {reason}")
    return found


def some(folders: Sequence[Path] | None) -> Loaded:
    """Reads results as `loaded` does; raises `ConfigError` where there is none."""
    found = loaded(folders)
    if not found.results:
        raise ConfigError([leaderboard.why_none(found, folders or [Path("results")])])
    return found
