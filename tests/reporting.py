"""Reports of runs that a test makes up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from running import installed

from distillbench.interfaces import Figure, Runs, Table
from distillbench.reports import STYLE
from distillbench.reports.runs import StoredRuns, networks_with
from distillbench.results.store import Result

Make = Callable[..., Result]


SUBJECTS = installed().names("report")


FIGURES = ["figure2", "pareto", "budget", "learning-curves"]


def stored(results: list[Result], conditions: list[str] | None = None) -> StoredRuns:
    return StoredRuns(results, networks_with(installed()), conditions or [])


def made(name: str, runs: Runs, **knobs: object) -> Any:
    component = installed().find("report", name)
    assert component is not None
    return component.cls(**knobs).make(runs)


def table(name: str, results: list[Result], conditions: list[str] | None = None) -> Table:
    found: Table = made(name, stored(results, conditions))
    assert isinstance(found, Table)
    return found


def figure_of(name: str, results: list[Result], plt: Any, columns: int = 2, **knobs: object) -> Any:
    found = made(name, stored(results), **knobs)
    assert isinstance(found, Figure)
    with plt.rc_context(STYLE):
        return found.draw(plt, columns)


def cells_of(table: Table, *words: str) -> list[float | None]:
    (row,) = [row for names, row in table.rows if names == words]
    return [cell.value for cell in row]
