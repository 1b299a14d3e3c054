"""The leaderboard's intervals, and which of its rows cannot be told from the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from distillbench.errors import ResultError
from distillbench.interfaces import Labels
from distillbench.results import labels
from distillbench.results.leaderboard import frame
from distillbench.results.record import Result
from distillbench.results.statistics import (
    Estimate,
    Floats,
    Values,
    difference_error,
    gap_influence,
    in_common,
    interval,
    map_influence,
    seed_error,
)

METRICS = ("gap", "map_at_20")

Say = Callable[[str], object]


def _silent(_: str) -> None:
    """Says nothing."""


def with_intervals(
    rows: pd.DataFrame,
    results: Sequence[Result],
    metric: str,
    shown: pd.Index,
    *,
    group: str | None = None,
    say: Say = _silent,
) -> pd.DataFrame:
    """Adds `gap_low`, `gap_high`, `map_at_20_low`, `map_at_20_high` and `like_best_uncorrected` to the rows in `shown`.

    like_best_uncorrected: whether the row's difference from the row with the best mean of `metric` on the same test
    videos (and in the same group, where a column groups them), paired by video and by seed, has a 95 % interval that
    holds 0. It is not corrected for having chosen the best of many rows, and rows with a single seed have none: their
    intervals say nothing of other seeds. Rows without stored predictions get no interval, and `say` is told why.
    """
    by_row = _results_of(rows, results)
    added: dict[str, dict[object, object]] = {f"{m}_{end}": {} for m in METRICS for end in ("low", "high")}
    added["like_best_uncorrected"] = {}
    ordered = rows[rows["status"] == "answered"]
    for _, rivals in ordered.groupby(["videos", *([group] if group else [])], sort=False, dropna=False):
        best_row = pd.to_numeric(rivals[metric]).idxmax()
        best = values_of(by_row[best_row], metric, say)
        for name in rivals.index.intersection(shown):
            for each in METRICS:
                method = values_of(by_row[name], each, say)
                if method is None:
                    continue
                estimate = _interval(method)
                value = float(rows.loc[name, each])
                added[f"{each}_low"][name], added[f"{each}_high"][name] = value + estimate.low, value + estimate.high
                if each == metric and best is not None and min(best.seeds, method.seeds) > 1:
                    is_like = name == best_row or _is_like(best, method)
                    added["like_best_uncorrected"][name] = is_like
    rows = rows.assign(like_best_by=metric)
    return rows.assign(**{name: pd.Series(values, dtype=object) for name, values in added.items()})


def _results_of(rows: pd.DataFrame, results: Sequence[Result]) -> dict[object, list[Result]]:
    """Finds each row's results: those of its question, or its own where a row is a run."""
    runs = frame(results)
    by_name: dict[str, list[Result]] = {}
    column = "question" if "seeds" in rows else "run"
    for name, result in zip(runs[column], results, strict=True):
        by_name.setdefault(str(name), []).append(result)
    return {index: by_name.get(str(name), []) for index, name in rows[column].items()}


def values_of(results: Sequence[Result], metric: str, say: Say = _silent) -> Values | None:
    """Collects a metric of one method's runs by seed; None, and `say` is told why, where a file is missing or damaged.

    Labels that an older run did not keep are nothing to be told.
    """
    try:
        influence = {int(r.content["setup"]["seed"]): _influence(r, metric) for r in results}
    except ResultError as error:
        say(str(error))
        return None
    if any(found is None for found in influence.values()):
        return None
    if len({len(found) for found in influence.values() if found is not None}) > 1:
        say(f"the predictions of runs {', '.join(r.id for r in results)} are of different videos")
        return None
    values = {int(r.content["setup"]["seed"]): float(r.content["metrics"][metric]) for r in results}
    return Values(values, {seed: found for seed, found in influence.items() if found is not None})


def _influence(result: Result, metric: str) -> Floats | None:
    predictions = result.predictions()
    if metric == "gap":
        return gap_influence(predictions)
    fingerprint = str(result.content["data"]["fingerprints"]["test"])
    known: Labels | None = labels.find(result.path.parent, fingerprint)
    if known is None:
        return None
    kept = predictions.kept
    if not np.array_equal(np.diff(known.offsets.numpy()), kept.positives) or known.count != len(kept.class_positives):
        raise ResultError(f"the labels kept of the test videos {fingerprint} do not fit their predictions")
    return map_influence(predictions, known)


def _interval(method: Values) -> Estimate:
    """Computes the interval of a mean over seeds, around 0."""
    error = seed_error(list(method.value.values()), np.stack(list(method.influence.values())))
    return interval(0.0, method.mean_influence([]), error)


def _is_like(best: Values, other: Values) -> bool:
    """Tells whether the interval of the difference holds 0; it is not known of predictions of other videos."""
    if best.mean_influence([]).shape != other.mean_influence([]).shape:
        return False
    common = in_common(best, other)
    difference = best.mean(common) - other.mean(common)
    influence = best.mean_influence(common) - other.mean_influence(common)
    found = interval(difference, influence, difference_error(best, other))
    return found.low <= 0.0 <= found.high
