"""The leaderboard's intervals, and the rows that are not distinguishable from the best."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from distillbench.analysis.best_set import best_set
from distillbench.analysis.intervals import (
    Estimate,
    Floats,
    Values,
    interval,
    replicates,
    seed_error,
)
from distillbench.analysis.metric_columns import columns_in
from distillbench.errors import DistillbenchError, ResultError
from distillbench.interfaces import Labels, Metric, Predictions
from distillbench.printing import printing_to_stderr
from distillbench.results import test_labels
from distillbench.results.store import Result
from distillbench.untrusted import reason_of

Warn = Callable[[str], object]


def _silent(_: str) -> None:
    """Ignores a message."""


def with_intervals(
    rows: pd.DataFrame,
    results: Sequence[Result],
    metric: str,
    shown: pd.Index,
    *,
    group: str | None = None,
    warn: Warn = _silent,
) -> pd.DataFrame:
    """Adds intervals to the rows in `shown`, and `like_best`.

    Each metric that the data of a row is judged by gets a lower and an upper bound.

    The bounds of `name` are `name_low` and `name_high`; metrics that need every score have none.

    like_best: whether the row is in the set of those that may be the best by `metric`, of the rows
    shown and the best one, on the same test videos (and in the same group, where a column groups
    them): at 95 % for the whole set, however many rows there are (`best_set`). Rows with a single
    seed have none, and where the best row has one, none has: their intervals tell nothing of other
    seeds.
    Rows without stored predictions get no interval, and `warn` is called with why.
    """
    by_row, predicted = _results_of(rows, results), Predicted()
    judges = [column for column in columns_in(rows) if column.is_judge and column.has_interval]
    names = list(dict.fromkeys([*(column.name for column in judges), metric]))
    lower_is_better = {c.name for c in columns_in(rows) if not c.higher_is_better}
    added: dict[str, dict[object, object]] = {
        f"{m}_{end}": {} for m in names for end in ("low", "high")
    }
    added["like_best"] = {}
    ordered = rows[rows["status"] == "finished"]
    for _, rivals in ordered.groupby(
        ["videos", *([group] if group else [])], sort=False, dropna=False
    ):
        values = pd.to_numeric(rivals[metric])
        if not values.notna().any():
            continue
        best_row = values.idxmin() if metric in lower_is_better else values.idxmax()
        known: dict[object, Values] = {}
        if (best := values_of(by_row[best_row], metric, warn, predicted)) is not None:
            known[best_row] = best
        for name in rivals.index.intersection(shown):
            predicted.next_row()
            for each in names:
                is_known = each == metric and name in known
                method = known[name] if is_known else values_of(by_row[name], each, warn, predicted)
                if method is None:
                    continue
                estimate = _interval(method)
                value = float(rows.loc[name, each])
                added[f"{each}_low"][name], added[f"{each}_high"][name] = (
                    value + estimate.low,
                    value + estimate.high,
                )
                if each == metric:
                    known[name] = method
        added["like_best"] |= _like_best(known, best_row, metric not in lower_is_better)
    rows = rows.assign(like_best_by=metric)
    return rows.assign(**{name: pd.Series(values, dtype=object) for name, values in added.items()})


def _results_of(rows: pd.DataFrame, results: Sequence[Result]) -> dict[object, list[Result]]:
    """Finds each row's results: those of all seeds, or its own where a row is a run."""
    by_file = {str(result.path): result for result in results}
    return {
        index: [by_file[file] for file in files if file in by_file]
        for index, files in rows["files"].items()
    }


class Predicted:
    """The predictions of results with their labels, each file of labels read once.

    Of predictions, which are large, those of the row at hand are kept.
    """

    def __init__(self) -> None:
        self._labels: dict[Path, tuple[Labels | None, str]] = {}
        self._kept: dict[Path, tuple[Predictions, str]] = {}
        self._damaged: dict[Path, ResultError] = {}

    def next_row(self) -> None:
        """Forgets the predictions of the row before."""
        self._kept.clear()

    def of(self, result: Result) -> tuple[Predictions, str]:
        """Loads a result's predictions and the stored labels, and why these are damaged.

        Raises `ResultError` where the predictions are missing or damaged.
        """
        if result.path in self._damaged:
            raise self._damaged[result.path]
        if result.path not in self._kept:
            try:
                self._kept[result.path] = self._loaded(result)
            except ResultError as error:
                self._damaged[result.path] = error
                raise
        return self._kept[result.path]

    def _loaded(self, result: Result) -> tuple[Predictions, str]:
        predictions = result.predictions()
        fingerprint = result.record.data.fingerprints.test
        known, damage = self._labels_of(result.path.parent, fingerprint)
        if known is None:
            return predictions, damage
        counts, classes = np.diff(known.offsets.numpy()), len(predictions.class_positives)
        if not np.array_equal(counts, predictions.positives) or known.count != classes:
            problem = (
                f"the labels kept of the test videos {fingerprint} do not fit their predictions"
            )
            return predictions, problem
        return dataclasses.replace(predictions, labels=known), ""

    def _labels_of(self, folder: Path, fingerprint: str) -> tuple[Labels | None, str]:
        place = folder / fingerprint
        if place not in self._labels:
            try:
                self._labels[place] = test_labels.find(folder, fingerprint), ""
            except ResultError as error:
                self._labels[place] = None, str(error)
        return self._labels[place]


def values_of(
    results: Sequence[Result],
    metric: str,
    warn: Warn = _silent,
    predicted: Predicted | None = None,
) -> Values | None:
    """Collects a metric of one method's runs by seed.

    None, and `warn` is called with why, where a file is missing or damaged.

    It is None without a message where a run does not have the metric, or its plugin
    is not installed, or needs what an older run did not keep.

    predicted: where predictions are read, if several metrics need them.
    """
    predicted = predicted or Predicted()
    values: dict[int, float] = {}
    influence: dict[int, Floats] = {}
    videos: set[int] = set()
    for result in results:
        value, installed = result.record.metrics.get(metric), result.metrics.get(metric)
        if value is None or installed is None or installed.needs != "best":
            return None
        try:
            predictions, damage = predicted.of(result)
            found = _influence(installed, predictions)
        except ResultError as error:
            warn(str(error))
            return None
        if found is None:
            if damage:
                warn(damage)
            return None
        seed = result.record.setup.seed
        values[seed], influence[seed] = float(value), found
        videos.add(len(predictions))
    if len(videos) > 1:
        warn(f"the predictions of runs {', '.join(r.id for r in results)} are of different videos")
        return None
    return Values(values, influence)


def _influence(metric: Metric, predictions: Predictions) -> Floats | None:
    """Returns how a metric moves with the videos, as `Values` wants it.

    None where that cannot be known.

    Raises `ResultError` where the metric, which a third party may have written, fails.
    """
    try:
        with printing_to_stderr():
            found = metric.influence(predictions)
            if found is None and predictions.labels is not None:
                found = replicates(metric.compute, predictions)
            if found is None:
                return None
            influence = np.asarray(found, dtype=np.float64)
    except (DistillbenchError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise ResultError(f"the metric '{metric.title}' failed: {reason_of(error)}") from error
    if influence.ndim != 1 or not np.isfinite(influence).all():
        raise ResultError(f"the metric '{metric.title}' has an influence that is not finite")
    return influence


def _interval(method: Values) -> Estimate:
    """Computes the interval of a mean over seeds, around 0."""
    error = seed_error(list(method.value.values()), np.stack(list(method.influence.values())))
    return interval(0.0, method.mean_influence([]), error)


def _like_best(
    known: Mapping[object, Values], best_row: object, higher_is_better: bool
) -> dict[object, bool]:
    """Tells which rows may be the best; none where the best has one seed or no predictions.

    Rows of predictions of other videos cannot be compared, and are denied.
    """
    best = known.get(best_row)
    if best is None or best.seeds == 1:
        return {}
    several = {name: values for name, values in known.items() if values.seeds > 1}
    videos = best.mean_influence([]).shape
    rivals = {n: v for n, v in several.items() if v.mean_influence([]).shape == videos}
    found = best_set(list(rivals.values()), higher_is_better=higher_is_better)
    return dict.fromkeys(several, False) | dict(zip(rivals, found, strict=True))
