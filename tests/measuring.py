"""The metrics of predictions, computed by the plugins."""

from __future__ import annotations

from types import SimpleNamespace

from running import installed

from distillbench.evaluation.metric_set import MetricSet, valid_for
from distillbench.interfaces import LabelKind, Predictions
from distillbench.metrics.ranking import counts_of
from distillbench.metrics.topk import TopK


def measured(found: TopK | Predictions, kind: LabelKind = "multi-label") -> SimpleNamespace:
    """Computes every metric of a kind of labels, and counts: `measured(predictions).gap`."""
    if isinstance(found, TopK):
        found = found.predictions([str(video) for video in range(len(found))])
    valid = valid_for(kind, installed())
    told: list[str] = []
    values = MetricSet(valid.values(), ()).compute(valid, found, told.append)
    assert told == []
    return SimpleNamespace(**values, **counts_of(found))
