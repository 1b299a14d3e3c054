"""What runs are called: equal names where they differ in nothing but k and their seed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distillbench.reports.rows import records

if TYPE_CHECKING:
    import pandas as pd

    from distillbench.results.schema import StoredResult

_APART = ("seed", "k")
_SHAPED = ("phases.",)
"""Settings that follow from others: they are named only where nothing that shapes them differs."""


def is_trained(record: StoredResult) -> bool:
    """Tells a run that was trained from one of a network that was converted or exported."""
    return record.machine.precision != "int8" and not record.exported_from


def names_by_data(rows: pd.DataFrame) -> list[str]:
    """Names methods within each data set: those of another tell nothing apart."""
    named: dict[object, str] = {}
    for _, group in rows.groupby("data", sort=False):
        named |= zip(group.index, method_names(group), strict=True)
    return [named[place] for place in rows.index]


def method_names(rows: pd.DataFrame) -> list[str]:
    """Names the method of every row: schedule, selector, losses, and whatever else tells it apart.

    A setting tells methods apart where it differs among runs of the same k; what follows from k,
    such as the length of a block, does not. Of each setting the commonest value is left out.
    """
    listed = records(rows)
    names = _with_settings(listed, [title_of(row) for row in listed], every=False)
    return names if _are_methods(listed, names) else _with_settings(listed, names, every=True)


def title_of(row: Mapping[str, Any]) -> str:
    """Names a row by its schedule, its selector and its losses alone."""
    return f"{row['schedule']} {row['selector']} " + re.sub(r":[^,\s]+", "", str(row["loss"]))


def _are_methods(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> bool:
    """Tells whether runs of one name and one k differ in nothing but their seed."""
    found: dict[tuple[str, str, int], str] = {}
    return all(
        found.setdefault((name, str(row["k"]), row["train_videos"]), row["configuration"])
        == row["configuration"]
        for name, row in zip(names, rows, strict=True)
    )


def _with_settings(
    rows: Sequence[Mapping[str, Any]], titles: Sequence[str], *, every: bool
) -> list[str]:
    """Adds to titles the settings that tell rows of the same title apart.

    every: all that differ.
    """
    names = list(titles)
    groups: dict[tuple[str, int], list[int]] = {}
    for place, (title, row) in enumerate(zip(titles, rows, strict=True)):
        groups.setdefault((title, row["train_videos"]), []).append(place)
    for places in groups.values():
        settings = {place: _settings(rows[place], every) for place in places}
        apart = _differing((str(rows[place]["k"]), settings[place]) for place in places)
        usual = {name: _commonest(s.get(name) for s in settings.values()) for name in apart}
        ends = Counter(_end(name) for name in apart)
        for place in places:
            shown = [
                f"{_end(name) if ends[_end(name)] == 1 else name}={settings[place][name]}"
                for name in apart
                if name in settings[place] and (every or settings[place][name] != usual[name])
            ]
            names[place] = ", ".join([names[place], *shown])
    return names


def _settings(row: Mapping[str, Any], every: bool) -> dict[str, str]:
    settings = {"loss": str(row["loss"]), "precision": str(row["precision"]), **row["settings"]}
    left_out = () if every else _SHAPED
    return {
        name: value
        for name, value in settings.items()
        if name not in _APART
        and not name.startswith(left_out)
        and (every or not name.endswith(".distribution"))
    }


def _differing(settings: Iterable[tuple[str, Mapping[str, str]]]) -> list[str]:
    """Lists the settings that have several values at one k, among the rows that have them."""
    values: dict[tuple[str, str], set[str]] = {}
    for k, each in settings:
        for name, value in each.items():
            values.setdefault((name, k), set()).add(value)
    return list(dict.fromkeys(name for (name, _), found in values.items() if len(found) > 1))


def _commonest(values: Iterable[str | None]) -> str | None:
    counts = Counter(value for value in values if value is not None)
    return min(counts, key=lambda value: (-counts[value], value)) if counts else None


def _end(name: str) -> str:
    return name.rpartition(".")[2]
