"""The metrics of results as columns: what each is called, which way is better, which are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from distillbench.interfaces import Metric
from distillbench.metrics.ranking import COUNTS
from distillbench.registry.vetting import is_column

if TYPE_CHECKING:
    from distillbench.results.schema import StoredResult


@dataclass(frozen=True)
class MetricColumn:
    """A metric as a column of the leaderboard.

    is_judge: whether the data is judged by it, so that people see it.
    has_interval: whether there can be one.
    each_epoch: whether it is computed after every epoch, too. Of a metric that is not installed any
    more the name is all that is known.
    """

    name: str
    title: str
    higher_is_better: bool = True
    is_judge: bool = False
    has_interval: bool = False
    each_epoch: bool = False


def columns_of(record: StoredResult, metrics: Mapping[str, Metric]) -> tuple[MetricColumn, ...]:
    """Lists the metrics of a result, those that the data is judged by first.

    metrics: those that are installed.
    """
    return named_columns(tuple(record.data.metrics), tuple(record.metrics), metrics)


def named_columns(
    judges: tuple[str, ...], names: tuple[str, ...], metrics: Mapping[str, Metric]
) -> tuple[MetricColumn, ...]:
    """Lists metrics by name, those that the data is judged by first.

    judges: what it is judged by. names: all that a result has.
    """
    ordered = dict.fromkeys((*judges, *names))
    known = [name for name in ordered if name not in COUNTS and not is_column(name)]
    return tuple(_column(name, metrics.get(name), name in judges) for name in known)


def first_of(record: StoredResult, metrics: Mapping[str, Metric]) -> MetricColumn:
    """Returns the metric that ranks a result."""
    return columns_of(record, metrics)[0]


def _column(name: str, metric: Metric | None, is_judge: bool) -> MetricColumn:
    if metric is None:
        return MetricColumn(name, name, is_judge=is_judge)
    best = metric.needs == "best"
    return MetricColumn(
        name, metric.title, metric.higher_is_better, is_judge, best, best and metric.each_epoch
    )


def columns_in(table: pd.DataFrame) -> tuple[MetricColumn, ...]:
    """Lists every metric of a table's rows, those that some data is judged by first.

    The table has it for each row in `metrics`, or for all of its rows in its attributes.
    """
    found: dict[str, MetricColumn] = {}
    for columns in table.get("metrics", [table.attrs.get("metrics", ())]):
        for column in columns:
            if column.name not in found or column.is_judge:
                found[column.name] = column
    return tuple(sorted(found.values(), key=lambda column: not column.is_judge))


def ranking_column(table: pd.DataFrame) -> str:
    """Names the metric that ranks a table: the first of its data, or of the most rows' data."""
    rows = table.get("metrics", [table.attrs.get("metrics", ())])
    firsts: Iterable[str] = (columns[0].name for columns in rows if columns)
    ((name, _),) = Counter(firsts).most_common(1)
    return name
