"""The differences between rows of a board: those of `distillbench compare`, of all pairs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distillbench.analysis.comparison import Side, notes_of
from distillbench.analysis.intervals import Values, bootstraps
from distillbench.analysis.significance import Predicted, values_of
from distillbench.interfaces import Difference
from distillbench.page.board import Board, BoardRow, DataBoard

Warn = Callable[[str], object]
Pair = tuple[int, int]

MOST_ROWS = 110
"""How many rows of a data set are compared with one another: 5,995 pairs."""
_MOST_NUMBERS = 60_000_000
"""How many influences are held at once, one for each run and video."""


def comparisons_of(board: Board, warn: Warn) -> Mapping[str, Any]:
    """Compares rows that were tested on the same videos, the best of each data set.

    `pairs`: by the numbers of two rows, the lower one first, `A-B`: by metric, a list of
    difference, low, high, A, B, p and the number of paired seeds; `notes`: what limits it, told
    with the first row as A, and the other way round. `compared`: the numbers of the rows.
    """
    pairs: dict[str, dict[str, Any]] = {}
    compared: list[int] = []
    start = 0
    for part in board.parts:
        for places in _alike(part):
            kept = _affordable(part, places)
            compared += [start + place for place in kept]
            for pair, found in _of_rows(part, kept, warn).items():
                pairs[f"{start + pair[0]}-{start + pair[1]}"] = found
        start += len(part.rows)
    return {"pairs": pairs, "compared": compared, "most": MOST_ROWS}


def _alike(part: DataBoard) -> list[list[int]]:
    """Groups the rows with results by the test videos that they were evaluated on."""
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(part.rows):
        if row.results:
            groups.setdefault(str(row.cells["videos"]), []).append(place)
    return [places[:MOST_ROWS] for places in groups.values() if len(places) > 1]


def _affordable(part: DataBoard, places: Sequence[int]) -> list[int]:
    """Keeps the first rows whose influences can be held at once."""
    kept, numbers = [], 0
    for place in places:
        results = part.rows[place].results
        numbers += len(results) * int(results[0].record.metrics.get("videos") or 0)
        if numbers > _MOST_NUMBERS:
            break
        kept.append(place)
    return kept


def _of_rows(part: DataBoard, places: Sequence[int], warn: Warn) -> dict[Pair, dict[str, Any]]:
    found: dict[Pair, dict[str, Any]] = {}
    for metric, values in _values(part, places, warn).items():
        known = list(values)
        numbered = list(itertools.combinations(range(len(known)), 2))
        differences = bootstraps([values[place] for place in known], numbered) if numbered else ()
        for (a, b), difference in zip(numbered, differences, strict=True):
            pair = found.setdefault((known[a], known[b]), {"metrics": {}})
            pair["metrics"][metric] = _numbers(difference)
    sides = {place: _side(part.rows[place]) for place in places}
    for (a, b), pair in found.items():
        pair["notes"] = [notes_of(sides[a], sides[b]), notes_of(sides[b], sides[a])]
    return found


def _values(part: DataBoard, places: Sequence[int], warn: Warn) -> dict[str, dict[int, Values]]:
    """Collects the values of each metric that the data is judged by, of each row that has them."""
    metrics = [column.name for column in part.metrics if column.is_judge and column.has_interval]
    found: dict[str, dict[int, Values]] = {name: {} for name in metrics}
    predicted = Predicted()
    for place in places:
        predicted.next_row()
        for name in metrics:
            values = values_of(part.rows[place].results, name, warn, predicted)
            if values is not None:
                found[name][place] = values
    return {name: _same_videos(values) for name, values in found.items()}


def _same_videos(values: dict[int, Values]) -> dict[int, Values]:
    """Leaves out rows whose predictions are of another number of videos than the first row's."""
    shapes = {place: each.mean_influence([]).shape for place, each in values.items()}
    first = next(iter(shapes.values()), None)
    return {place: each for place, each in values.items() if shapes[place] == first}


def _numbers(found: Difference) -> list[float]:
    numbers = (found.value, found.low, found.high, found.a, found.b)
    return [*(round(number, 6) for number in numbers), float(f"{found.p:.3g}"), found.paired_seeds]


def _side(row: BoardRow) -> Side:
    return Side(row.method, row.results)
