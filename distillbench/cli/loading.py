"""Loads results for a command, and reports on standard error which files were skipped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distillbench.analysis.loading import Loaded, load, why_none
from distillbench.cli.render.terminal import complain
from distillbench.errors import ConfigError
from distillbench.evaluation.metric_set import installed_metrics
from distillbench.registry.discovery import Registry


def load_results(folders: Sequence[Path] | None, registry: Registry) -> Loaded:
    """Reads every result of the folders, and prints a line for each damaged file.

    folders: where to look; `results` if none is given.
    registry: the installed components; its metrics give numbers their titles and intervals.

    Raises `ConfigError` if there is no result.
    """
    searched = folders or [Path("results")]
    found = load(searched, installed_metrics(registry))
    for reason in found.skipped:
        complain(f"skipped: {reason}")
    if not found.results:
        raise ConfigError([why_none(found, searched)])
    return found
