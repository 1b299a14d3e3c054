"""Runs that have their result: what they stored, found again and published."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from torch import nn

from distillbench.analysis import comparison, loading
from distillbench.errors import ConfigError, ResultError
from distillbench.evaluation.metric_set import installed_metrics
from distillbench.evaluation.quantization import quantized
from distillbench.experiments.restore import RestoredRun, restore
from distillbench.interfaces import Predictions
from distillbench.networks import Model
from distillbench.registry import discovery as installed
from distillbench.results import publishing, store
from distillbench.results.folders import Folders, PathLike, folders_of
from distillbench.results.schema import StoredResult
from distillbench.results.store import Result

Warn: TypeAlias = Callable[[str], object]


@dataclass(frozen=True)
class Run:
    """A run that has its result.

    stored: its files.
    """

    stored: Result

    @property
    def key(self) -> str:
        """The run's key, which names its files."""
        return self.stored.id

    @property
    def path(self) -> Path:
        """The file of its result."""
        return self.stored.path

    @property
    def result(self) -> Mapping[str, Any]:
        """What that file holds."""
        return self.stored.content

    @property
    def metrics(self) -> Mapping[str, float]:
        """How good it is on the test split."""
        found: Mapping[str, float] = self.result["metrics"]
        return found

    @cached_property
    def predictions(self) -> Predictions:
        """Every test video's best 20 predictions, as they were stored."""
        return self.stored.predictions()

    @cached_property
    def network(self) -> nn.Module:
        """The evaluated network with its trained weights, in evaluation mode.

        It takes clips as they are stored.

        It is built again, for which the run's data set is opened.
        """
        return _network(self._restored, self.stored.record)

    @cached_property
    def _restored(self) -> RestoredRun:
        return restore(self.stored, installed.discover())


def _network(found: RestoredRun, stored: StoredResult) -> Model:
    model = found.experiment.models[found.experiment.spec.reports]
    return quantized(model) if stored.quantized_from else model


def load(run: PathLike | Run, results: Folders = "results", *, warn: Warn = warnings.warn) -> Run:
    """Finds a run by its key, the beginning of it, or its file.

    results: folders to look in.
    warn: is called with a message about files that are damaged.

    Raises `ConfigError` where there is no such run or several, `ResultError` where the file is
    damaged.
    """
    if isinstance(run, Run):
        return run
    path = Path(run)
    if path.suffix == ".json":
        if not path.is_file():
            raise ResultError(f"there is no result '{path}'")
        return Run(store.read(path, installed_metrics(installed.discover())))
    found = results_in(results, warn)
    return Run(comparison.chosen(found, str(run)).results[0])


def publish(
    out: PathLike,
    results: Folders = "results",
    *,
    labels: bool = True,
    warn: Warn = warnings.warn,
) -> tuple[str, ...]:
    """Writes results to a folder that others can read by its address; returns their keys.

    Absolute paths and the name of this machine are taken out, every row is checked, and weights are
    not published. `leaderboard` reads the folder, or an address that it was put at.

    labels: of the test videos, without which no row has an interval.
    warn: is called with what was left out, and why.

    Raises `ConfigError` where nothing can be published.
    """
    found = results_in(results, warn)
    done = publishing.publish(found, Path(out), labels=labels)
    for reason in done.left_out:
        warn(f"left out: {reason}")
    if not done.runs:
        raise ConfigError([f"none of {len(found)} results can be published"])
    return done.runs


def results_in(folders: Folders, warn: Warn) -> Sequence[Result]:
    """Reads results, and warns of those that are damaged.

    Raises `ConfigError` where there is none.
    """
    paths = folders_of(folders)
    found = loading.load(paths, installed_metrics(installed.discover("metric")))
    for reason in found.skipped:
        warn(f"skipped: {reason}")
    if not found.results:
        raise ConfigError([loading.why_none(found, paths)])
    return found.results
