"""The leaderboard's intervals, and the rows that are not distinguishable from the best."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from distillbench.analysis.best_set import best_set
from distillbench.analysis.estimates import Estimates, RowEstimate, key_of
from distillbench.analysis.intervals import (
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
from distillbench.results.store import Evaluated
from distillbench.untrusted import reason_of

Warn = Callable[[str], object]


def _silent(_: str) -> None:
    """Ignores a message."""


@dataclass(frozen=True)
class KnownIntervals:
    """What was computed before.

    state_of: identifies everything that is read of a result, its predictions and its labels; empty
    where it may change unnoticed.
    """

    estimates: Estimates
    state_of: Callable[[Evaluated], str]


_NOTHING_KNOWN = KnownIntervals(Estimates(), lambda _: "")


def with_intervals(
    rows: pd.DataFrame,
    results: Iterable[Evaluated],
    metric: str,
    shown: pd.Index,
    *,
    group: str | None = None,
    warn: Warn = _silent,
    known: KnownIntervals = _NOTHING_KNOWN,
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

    known: what need not be computed again.
    """
    judges = [column for column in columns_in(rows) if column.is_judge and column.has_interval]
    names = list(dict.fromkeys([*(column.name for column in judges), metric]))
    lower_is_better = {c.name for c in columns_in(rows) if not c.higher_is_better}
    added: dict[str, dict[object, object]] = {
        f"{m}_{end}": {} for m in names for end in ("low", "high")
    }
    added["like_best"] = {}
    intervals = _Intervals(rows, results, metric, warn, known)
    values = {name: rows[name].to_dict() for name in names if name in rows}
    ordered = rows[rows["status"] == "finished"]
    for _, rivals in ordered.groupby(
        ["videos", *([group] if group else [])], sort=False, dropna=False
    ):
        ranking = pd.to_numeric(rivals[metric])
        if not ranking.notna().any():
            continue
        best_row = ranking.idxmin() if metric in lower_is_better else ranking.idxmax()
        candidates = [best_row] if intervals.of(best_row, metric) else []
        for name in rivals.index.intersection(shown):
            intervals.next_row()
            for each in names:
                estimate = intervals.of(name, each)
                if estimate is None:
                    continue
                value = float(values[each][name])
                added[f"{each}_low"][name] = value - estimate.half
                added[f"{each}_high"][name] = value + estimate.half
                if each == metric and name != best_row:
                    candidates.append(name)
        if best_row in candidates:
            added["like_best"] |= intervals.like_best(
                candidates, metric, higher_is_better=metric not in lower_is_better
            )
    rows = rows.assign(like_best_by=metric)
    return rows.assign(**{name: pd.Series(values, dtype=object) for name, values in added.items()})


class _Intervals:
    """The intervals of rows, each computed where it is not known, and the set of the best."""

    def __init__(
        self,
        rows: pd.DataFrame,
        results: Iterable[Evaluated],
        ranked_by: str,
        warn: Warn,
        known: KnownIntervals,
    ) -> None:
        by_file = {str(result.path): result for result in results}
        self._of: dict[object, list[Evaluated]] = {
            index: [by_file[file] for file in files if file in by_file]
            for index, files in rows["files"].items()
        }
        self._warn, self._known, self._predicted = warn, known, Predicted()
        self._keys: dict[object, str] = {}
        self._ranked_by = ranked_by
        self._values: dict[object, Values] = {}

    def next_row(self) -> None:
        """Forgets the predictions of the row before."""
        self._predicted.next_row()

    def of(self, row: object, metric: str) -> RowEstimate | None:
        """Returns the estimate of a row; None where there is none, which is told."""
        key = self._key(row, metric)
        found = self._known.estimates.row(key)
        if found is None and (values := self._values_of(row, metric)) is not None:
            found = RowEstimate(_half_width(values), values.seeds)
            self._known.estimates.keep_row(key, found)
        return found

    def like_best(
        self, candidates: Sequence[object], metric: str, *, higher_is_better: bool
    ) -> dict[object, bool]:
        """Tells which rows may be the best; none where the best, which is first, has one seed.

        Rows of predictions of other videos cannot be compared, and are denied.
        """
        found = {row: self.of(row, metric) for row in candidates}
        several = [row for row, estimate in found.items() if estimate and estimate.seeds > 1]
        if candidates[0] not in several:
            return {}
        keys = [self._key(row, metric) for row in several]
        key = key_of("best", str(higher_is_better), *keys)
        known = self._known.estimates.best(key, len(several))
        if known is None:
            known = self._best(several, metric, higher_is_better)
            self._known.estimates.keep_best(key, known)
        return dict(zip(several, known, strict=True))

    def _best(self, rows: Sequence[object], metric: str, higher_is_better: bool) -> list[bool]:
        values = {row: self._values_of(row, metric) for row in rows}
        best = values[rows[0]]
        assert best is not None
        videos = best.mean_influence([]).shape
        rivals = {n: v for n, v in values.items() if v and v.mean_influence([]).shape == videos}
        found = best_set(list(rivals.values()), higher_is_better=higher_is_better)
        in_set = dict(zip(rivals, found, strict=True))
        return [in_set.get(row, False) for row in rows]

    def _values_of(self, row: object, metric: str) -> Values | None:
        if metric == self._ranked_by and row in self._values:
            return self._values[row]
        found = values_of(self._of[row], metric, self._warn, self._predicted)
        if found is not None and found.seeds > 1 and metric == self._ranked_by:
            self._values[row] = found  # needed once more, to find the set of the best
        return found

    def _key(self, row: object, metric: str) -> str:
        if row not in self._keys:
            self._keys[row] = key_of(*map(self._known.state_of, self._of[row]))
        return key_of(self._keys[row], metric)


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

    def of(self, result: Evaluated) -> tuple[Predictions, str]:
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

    def _loaded(self, result: Evaluated) -> tuple[Predictions, str]:
        predictions = result.predictions()
        fingerprint = result.videos
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
    results: Sequence[Evaluated],
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
        value, installed = result.quality.get(metric), result.metrics.get(metric)
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
        seed = result.seed
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


def _half_width(method: Values) -> float:
    """Computes half the width of the interval of a mean over seeds."""
    error = seed_error(list(method.value.values()), np.stack(list(method.influence.values())))
    return interval(0.0, method.mean_influence([]), error).high
