"""Loads results for a command, and says on standard error which files were left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distillbench.cli.terminal import echo
from distillbench.errors import ConfigError
from distillbench.results import leaderboard
from distillbench.results.leaderboard import Loaded


def loaded(folders: Sequence[Path] | None) -> Loaded:
    """Reads every result of the folders, `results` if none is named, and names each damaged file."""
    found = leaderboard.load(folders or [Path("results")])
    for reason in found.skipped:
        echo(f"skipped: {reason}", err=True)
    return found


def some(folders: Sequence[Path] | None) -> Loaded:
    """Reads results as `loaded` does; raises `ConfigError` where there is none."""
    found = loaded(folders)
    if not found.results:
        places = " and ".join(f"'{folder}'" for folder in folders or [Path("results")])
        there = [
            _count(len(found.failures), "run", " without an answer"),
            _count(len(found.skipped), "damaged file"),
        ]
        but = f", but {' and '.join(filter(None, there))}" if any(there) else ""
        raise ConfigError([f"no results in {places} yet{but}; distillbench run makes the first"])
    return found


def _count(count: int, what: str, then: str = "") -> str:
    return f"{count} {what}{'s' * (count != 1)}{then}" if count else ""
