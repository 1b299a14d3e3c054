"""The runs of a folder of results, as reports get them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.analysis import comparison
from distillbench.analysis.comparison import Side
from distillbench.analysis.leaderboard import differing, over_seeds, select
from distillbench.analysis.metric_columns import columns_in
from distillbench.analysis.rows import frame
from distillbench.data.batches import batches
from distillbench.errors import ConfigError
from distillbench.experiments.restore import RestoredRun, restore
from distillbench.interfaces import Difference, Networks, Runs
from distillbench.registry.discovery import Registry
from distillbench.reports.methods import is_trained, names_by_data
from distillbench.results.store import Result


class StoredRuns(Runs):
    """The trained runs of one data set.

    Networks in 8 bits and exported ones are left to the leaderboard.
    """

    def __init__(
        self,
        results: Sequence[Result],
        networks: Callable[[Result], Networks],
        conditions: Sequence[str] = (),
    ) -> None:
        """Keeps the results that meet `conditions`, such as `k=15`.

        networks: builds those of a result again, such as `networks_with(registry)`. Raises
        `ConfigError` where nothing is left to report, or several data sets are.
        """
        trained = [result for result in results if is_trained(result.record)]
        if not trained:
            found = f"{len(results)} of networks in 8 bits or exported alone" if results else "none"
            raise ConfigError(
                [
                    "a report is made of results of trained runs, and there are "
                    f"{found}; distillbench run makes the first"
                ]
            )
        rows = frame(trained)
        rows["method"] = names_by_data(rows)
        rows["settings"] = rows["settings"].map(MappingProxyType)
        kept = select(rows, conditions)
        if kept.empty:
            none = f"none of {len(trained)} results meets {' and '.join(conditions)}"
            raise ConfigError([none])
        names = sorted(set(kept["data"]))
        if len(names) > 1:
            reason = f"these results are of {' and '.join(names)}"
            raise ConfigError([f"{reason}; choose one with --where data={names[0]}"])
        self.data = names[0]
        columns = columns_in(kept)
        self.metrics = {column.name: column.title for column in columns}
        self.errors = frozenset(c.name for c in columns if not c.higher_is_better)
        self.methods = tuple(sorted(set(rows["method"][rows["data"] == self.data])))
        self._rows = kept
        self._results = {result.id: result for result in trained}
        self._networks = networks

    @property
    def rows(self) -> pd.DataFrame:
        """One row a run, a copy at every call."""
        return self._rows.copy()

    def stored(self, run: str) -> Mapping[str, Any]:
        """Returns a copy of everything that a run's file holds."""
        return copy.deepcopy(dict(self._results[run].content))

    def over_seeds(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Joins rows that differ in their seed alone, as the leaderboard does."""
        if rows.empty:
            return rows.assign(seeds=0, **{f"{name}_sd": np.nan for name in self.metrics})
        return over_seeds(rows)

    def differing(self, rows: pd.DataFrame) -> Mapping[str, Sequence[str]]:
        """Lists the settings in which rows differ."""
        return differing(rows)

    def compare(
        self,
        a: pd.DataFrame,
        b: pd.DataFrame,
        *,
        metric: str = "",
        resamples: int = 2000,
    ) -> Difference:
        """Compares two methods as `distillbench compare` does."""
        metric = metric or next(iter(self.metrics))
        found = comparison.compare(self._side(a), self._side(b), resamples)
        if metric not in found.differences:
            reason = "; ".join(found.notes)
            raise ConfigError(
                [f"{metric} of {found.a.name} and {found.b.name}: no interval; {reason}"]
            )
        return found.differences[metric]

    def _side(self, rows: pd.DataFrame) -> Side:
        methods = rows["configuration"].nunique()
        if methods != 1:
            reason = "; ".join(f"{n} = {' or '.join(v)}" for n, v in differing(rows).items())
            several = f"a comparison has two methods, and one side has {methods}"
            raise ConfigError([f"{several}: {reason}; choose with --where" if reason else several])
        runs = [str(run) for run in rows["run"]]
        return Side(f"run {runs[0]}", tuple(self._results[run] for run in runs))

    def restore(self, run: str) -> Networks:
        """Builds the networks of a run again."""
        return self._networks(self._results[run])


def networks_with(registry: Registry) -> Callable[[Result], Networks]:
    """Returns what builds the networks of a result, of components that are installed."""
    return lambda result: _Rebuilt(restore(result, registry))


class _Rebuilt(Networks):
    def __init__(self, found: RestoredRun) -> None:
        self._experiment = found.experiment
        self.names = found.networks
        self.test = found.experiment.splits.test

    def encode(self, network: str, videos: Tensor) -> NDArray[np.float64]:
        """Encodes test videos as the run's evaluation does."""
        experiment = self._experiment
        model = experiment.models[network]
        views = {network: experiment.evaluation_views[network]}
        encoded = []
        with torch.no_grad():
            read = batches(
                self.test,
                videos,
                experiment.spec.training.batch_size,
                views,
                device=experiment.device,
            )
            for batch in read:
                clips = batch.clips[network].to(experiment.device)
                encoded.append(model(clips).encoding.summary.cpu())
        array: NDArray[np.float64] = torch.cat(encoded).double().numpy()
        return array
