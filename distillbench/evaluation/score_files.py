"""Scores a file of predictions against a file of labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.errors import DataError
from distillbench.evaluation.metric_set import MetricSet, Warn, default_names, valid_for
from distillbench.evaluation.score_tables import Table, read_table
from distillbench.interfaces import LabelKind, Labels
from distillbench.metrics.ranking import counts_of
from distillbench.metrics.topk import TopK
from distillbench.registry.discovery import Registry

_BATCH = 1024


@dataclass(frozen=True)
class Scored:
    """Each metric's title and value, None where scores are missing, and counts."""

    metrics: Mapping[str, tuple[str, float | None]]
    counts: Mapping[str, int]


def score_files(
    predictions: Path,
    labels: Path,
    registry: Registry,
    kind: LabelKind | None = None,
    *,
    warn: Warn,
) -> Scored:
    """Computes every installed metric of anyone's predictions; the formats are those of `tables`.

    kind: of the labels; where it is not named, single-label if every video has exactly one label. A
    metric that needs every score is None where a video lacks one for some class, as in files of
    each video's best, and one that fails, which `warn` reports. A file of pairs does not tell how
    many
    classes there are: the highest number in either file is then taken for the last.

    Raises DataError where a file cannot be used, or the two are not of the same videos and classes.
    """
    scored, labelled = read_table(predictions, "predictions"), read_table(labels, "labels")
    order = _matched(scored, labelled)
    classes = _classes(scored, labelled)
    kept = TopK(classes)
    for scores, truth in _batches(scored, labelled, order, classes):
        kept.update(scores, truth)
    is_whole = scored.matrix is not None or len(scored.rows) == len(scored.ids) * classes
    truth_rows = _Rows(order[labelled.rows], labelled.classes, labelled.scores)
    found = kept.predictions(
        scored.ids,
        truth_rows.labels(len(scored.ids), classes),
        (lambda: _as_arrays(scored, labelled, order, classes)) if is_whole else None,
    )
    if not found.class_positives.any():
        raise DataError(f"{labels}: metrics need labels: none of the {len(found)} videos has any")
    kind = kind or ("single-label" if bool((found.positives == 1).all()) else "multi-label")
    valid = valid_for(kind, registry)
    metrics = MetricSet(valid.values(), default_names(kind, registry))
    values = metrics.compute(metrics.names, found, warn)
    titled = {name: (metrics.title(name), values[name]) for name in metrics.names}
    return Scored(titled, counts_of(found))


def _matched(scored: Table, labelled: Table) -> NDArray[np.int64]:
    """Returns, for each labelled video, its row among the predictions."""
    rows = {name: row for row, name in enumerate(scored.ids)}
    _refuse([name for name in labelled.ids if name not in rows], labelled, scored)
    known = set(labelled.ids)
    _refuse([name for name in scored.ids if name not in known], scored, labelled)
    return np.array([rows[name] for name in labelled.ids], dtype=np.int64)


def _refuse(missing: Sequence[str], requested: Table, searched: Table) -> None:
    if missing:
        raise DataError(
            f"{searched.path}: {len(missing)} of the {len(requested.ids)} videos of"
            f" {requested.path} are not there, the first of them '{missing[0]}';"
            " both files must name the same videos"
        )


def _classes(scored: Table, labelled: Table) -> int:
    """Returns C, as a file states it or else as the highest class number shows it."""
    if scored.width is not None and labelled.width is not None and scored.width != labelled.width:
        raise DataError(
            f"{scored.path} has {scored.width} classes and {labelled.path} has {labelled.width};"
            " they must be the same"
        )
    stated = scored.width or labelled.width
    for table in (scored, labelled):
        if stated is not None and int(table.classes.max(initial=0)) >= stated:
            place = np.flatnonzero(table.classes >= stated)[0]
            raise DataError(
                f"{table.path}: video '{table.ids[table.rows[place]]}' has the class"
                f" {table.classes[place]}; there are {stated} classes, numbered from 0"
            )
    return stated or 1 + max(int(table.classes.max(initial=0)) for table in (scored, labelled))


def _batches(
    scored: Table, labelled: Table, order: NDArray[np.int64], classes: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields scores and labels (B, C), minus infinity where a class has no score."""
    truth = _Rows(order[labelled.rows], labelled.classes, labelled.scores)
    found = _Rows(scored.rows, scored.classes, scored.scores)
    for start in range(0, len(scored.ids), _BATCH):
        stop = min(start + _BATCH, len(scored.ids))
        whole = scored.matrix[start:stop] if scored.matrix is not None else None
        scores = (
            torch.from_numpy(whole)
            if whole is not None
            else found.dense(start, stop, classes, -torch.inf)
        )
        yield scores, truth.dense(start, stop, classes, 0.0)


def _as_arrays(
    scored: Table, labelled: Table, order: NDArray[np.int64], classes: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    for scores, truth in _batches(scored, labelled, order, classes):
        yield scores.numpy(), truth.bool().numpy()


class _Rows:
    """Pairs ordered by video, so that those of a few videos are found at once."""

    def __init__(
        self, rows: NDArray[np.int64], classes: NDArray[np.int64], values: NDArray[np.float32]
    ) -> None:
        order = np.argsort(rows, kind="stable")
        self._rows, self._classes, self._values = rows[order], classes[order], values[order]

    def labels(self, videos: int, classes: int) -> Labels:
        """Returns the classes of all videos as labels."""
        offsets = np.searchsorted(self._rows, np.arange(videos + 1))
        return Labels(torch.from_numpy(offsets), torch.from_numpy(self._classes), classes)

    def dense(self, start: int, stop: int, classes: int, absent: float) -> Tensor:
        begin, end = np.searchsorted(self._rows, (start, stop))
        dense = np.full((stop - start, classes), absent, dtype=np.float32)
        dense[self._rows[begin:end] - start, self._classes[begin:end]] = self._values[begin:end]
        return torch.from_numpy(dense)
