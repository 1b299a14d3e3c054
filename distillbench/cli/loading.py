"""Loads results for a command, and says on standard error which files were left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distillbench.analysis import leaderboard
from distillbench.analysis.leaderboard import Loaded
from distillbench.cli.render.terminal import complain
from distillbench.errors import ConfigError
from distillbench.evaluation.metric_set import installed_metrics
from distillbench.registry.discovery import Registry


def loaded(folders: Sequence[Path] | None, registry: Registry) -> Loaded:
    """Reads every result of the folders, `results` if none is named, and names each damaged file.

    registry: what is installed; the metrics in it give numbers their titles and intervals.
    """
    found = leaderboard.load(folders or [Path("results")], installed_metrics(registry))
    for reason in found.skipped:
        complain(f"skipped: {reason}")
    return found


def some(folders: Sequence[Path] | None, registry: Registry) -> Loaded:
    """Reads results as `loaded` does; raises `ConfigError` where there is none."""
    found = loaded(folders, registry)
    if not found.results:
        raise ConfigError([leaderboard.why_none(found, folders or [Path("results")])])
    return found
