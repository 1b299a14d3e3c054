"""Tables of rows: which are chosen, joined over their seeds, and in which order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distillbench.analysis.metric_columns import columns_in
from distillbench.analysis.rows import FIDELITY
from distillbench.errors import ConfigError
from distillbench.registry.knobs import nearest

_HIGHER_IS_BETTER = {"throughput"}
_MEASURED = ("latency", "throughput", "train_seconds")
_PEOPLE_USE = ("data", "encoder", "schedule", "selector", "k", "loss", "seed")
_PEOPLE_SORT_BY = (
    *("macs", "latency", "parameters", "train_videos", "budget", "precision", "status"),
)
_ALIASES = {"params": "parameters"}


def select(table: pd.DataFrame, conditions: Sequence[str], flag: str = "--where") -> pd.DataFrame:
    """Keeps the rows that meet every condition `COLUMN=VALUE`; several values may be joined by `|`.

    A loss may be named without its weights, `A,B` for `A:0.1,B`.

    A dotted name is a setting, such as `schedule.epochs_factor=1`; a run without it does not meet
    the condition.

    Raises `ConfigError` for a condition of another form or an unknown column.
    """
    for condition in conditions:
        name, equals, value = condition.partition("=")
        name = name.strip()
        cells = _setting(name, table) if "." in name else table[column_of(name, table, flag)]
        if not equals:
            raise ConfigError([f"{flag} takes COLUMN=VALUE, such as k=15; found '{condition}'"])
        wanted = {_plain(part.strip()) for part in value.split("|")}
        names = _objective_names if name == "loss" else _one_name
        met = [not wanted.isdisjoint(names(_plain(str(cell)))) for cell in cells]
        table = table[pd.Series(met, table.index, dtype=bool)]
    return table


def _one_name(cell: str) -> set[str]:
    return {cell}


def _objective_names(cell: str) -> set[str]:
    """What an objective may be called.

    As it is written, without its weights, and by its first stage alone.
    """
    unweighted = re.sub(r":[^,\s]+", "", cell)
    return {cell, unweighted, unweighted.partition(" > ")[0]}


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Joins rows that differ in their seed alone.

    Means, standard deviations (`gap_sd`) and the number of seeds.
    """
    codes, _ = pd.factorize(table["configuration"])
    members = np.split(np.argsort(codes, kind="stable"), np.bincount(codes).cumsum()[:-1])
    firsts = table.iloc[[of[0] for of in members]].reset_index(drop=True)
    metrics = [tuple(column.name for column in columns) for columns in firsts["metrics"]]
    warnings, files, seed = (table[name].tolist() for name in ("warnings", "files", "seed"))
    joined: dict[str, Any] = {
        "warnings": [_each_once(warnings[each] for each in of) for of in members],
        "files": [tuple(file for each in of for file in files[each]) for of in members],
        "seed": [seed[of[0]] if len(of) == 1 else None for of in members],
        "seeds": [len(of) for of in members],
    }
    for name in ("latency_doubtful", "still_improving"):
        cells = table[name].tolist() if name in table else [None] * len(table)
        joined[name] = [any(cells[each] is True for each in of) for of in members]
    numbers = _joined_numbers(table, metrics, members)
    return pd.DataFrame(dict(firsts.items()) | numbers | joined)


def _each_once(texts: Iterable[str]) -> str:
    return "\n".join(dict.fromkeys(line for text in texts for line in text.splitlines()))


def _joined_numbers(
    table: pd.DataFrame,
    metrics: Sequence[tuple[str, ...]],
    members: Sequence[NDArray[np.intp]],
) -> dict[str, NDArray[np.float64]]:
    """Averages numbers over the members of each row, with standard deviations of its metrics.

    Rows of as many members and of the same metrics are averaged at once.
    """
    floats = tuple(map(str, table.select_dtypes("float")))
    alike: dict[tuple[tuple[str, ...], int], list[int]] = {}
    for row, (names, of) in enumerate(zip(metrics, members, strict=True)):
        alike.setdefault((names, len(of)), []).append(row)
    firsts = [of[0] for of in members]
    found: dict[str, NDArray[np.float64]] = {}
    columns: dict[str, NDArray[np.float64]] = {}
    for (of_row, _), rows in alike.items():
        averaged = dict.fromkeys((*of_row, *_MEASURED, *FIDELITY.values(), *floats))
        names = tuple(name for name in averaged if name in table)
        if not names:  # no run has a result
            continue
        for name in names:
            if name not in columns:
                columns[name] = pd.to_numeric(table[name]).to_numpy(np.float64)
                found[name] = columns[name][firsts]
        block = np.stack([columns[name] for name in names])
        means, spread = _moments(block[:, np.stack([members[row] for row in rows])])
        for name, values in zip(names, means, strict=True):
            found[name][rows] = values
        for name in of_row:
            deviations = found.setdefault(f"{name}_sd", np.full(len(members), np.nan))
            deviations[rows] = spread[names.index(name)]
    return found


def _moments(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Averages values (C, R, S) over S, those that are missing left out: means and deviations."""
    is_there = ~np.isnan(values)
    counts = is_there.sum(2).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(is_there, values, 0.0).sum(2) / counts
        squares = np.where(is_there, (means[:, :, None] - values) ** 2, 0.0).sum(2)
        spread = np.sqrt(squares / (counts - 1.0))
    spread[counts < 2] = np.nan
    return means, spread


def ranked(table: pd.DataFrame, by: str, top: int | None, group: str | None = None) -> pd.DataFrame:
    """Sorts by a column, best first, and keeps the first `top` rows of each group.

    Best means high quality or low cost.
    """
    name = column_of(by, table, "--sort")
    rising = {column.name for column in columns_in(table) if column.higher_is_better}
    falls = name in _HIGHER_IS_BETTER | rising
    ordered = table.sort_values(
        name, key=_in_order, ascending=not falls, kind="stable", na_position="last"
    )
    if group is None:
        return ordered if top is None else ordered.head(top)
    column = column_of(group, table, "--group-by")
    ordered = ordered.sort_values(column, key=lambda cells: cells.map(_naturally), kind="stable")
    return ordered if top is None else ordered.groupby(column, sort=False, dropna=False).head(top)


def _in_order(cells: pd.Series) -> pd.Series:
    """Makes numbers of a column of numbers, of any other what sorts its words."""
    numbers = pd.to_numeric(cells, errors="coerce")
    return (
        numbers
        if (numbers.notna() | cells.isna()).all()
        else cells.map(_naturally, na_action="ignore")
    )


def _naturally(cell: object) -> tuple[tuple[int, int, str], ...]:
    """Makes a key that sorts 6 before 10, also within words."""
    parts = re.split(r"(\d{1,18})", str(cell))
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)


def column_of(name: str, table: pd.DataFrame, flag: str) -> str:
    """Returns the column that a flag names, perhaps by its short name.

    Raises `ConfigError` where there is none.
    """
    metrics = columns_in(table)
    short = {column.name.replace("_at_", ""): column.name for column in metrics}
    name = (_ALIASES | short).get(name, name)
    known = [
        str(column) for column in table.columns if column not in ("settings", "metrics", "files")
    ]
    if name not in known:
        judges = [column.name for column in metrics if column.is_judge]
        listed = [column for column in (*_PEOPLE_USE, *judges, *_PEOPLE_SORT_BY) if column in known]
        raise ConfigError(
            [
                f"{flag} knows no column '{name}'{nearest(name, known)}; there are:"
                f" {', '.join(listed)}, and {len(known) - len(listed)} more:"
                " distillbench leaderboard --format csv shows them"
            ]
        )
    return name


def _setting(name: str, table: pd.DataFrame) -> list[str]:
    """Lists each row's value of a setting; raises `ConfigError` where no row has it."""
    rows: list[Mapping[str, str]] = list(table["settings"])
    known = dict.fromkeys(setting for row in rows for setting in row)
    if name not in known and rows:
        raise ConfigError([f"no run has a setting '{name}'{nearest(name, known)}"])
    return [row.get(name, "") for row in rows]


def _plain(text: str) -> str:
    try:
        return repr(float(text))
    except ValueError:
        return text.lower()


def differing(table: pd.DataFrame) -> dict[str, list[str]]:
    """Lists what several rows differ in, and its values: settings, precision, exporter, data.

    The seed is none.

    The phases of a schedule are named where nothing that shapes them is.
    """
    beside = [name for name in ("precision", "exporter") if name in table]
    settings = [
        dict(zip(beside, map(str, values), strict=True)) | own
        for own, *values in zip(table["settings"], *(table[name] for name in beside), strict=True)
    ]
    names = dict.fromkeys(name for each in settings for name in each if name != "seed")
    values = {name: sorted({each.get(name, "-") for each in settings}) for name in names}
    several = {name: found for name, found in values.items() if len(found) > 1}
    return {
        name: found for name, found in several.items() if not name.startswith("phases.")
    } or several
