"""Methods, compared by their stored runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from distillbench.analysis import comparison
from distillbench.analysis.comparison import Comparison, Side
from distillbench.analysis.contrasts import Answer, answers, read_contrasts
from distillbench.api.stored import Run, Warn, results_in
from distillbench.results.folders import Folders, PathLike
from distillbench.results.store import Result
from distillbench.texts import several

Method: TypeAlias = str | Run | Mapping[str, object] | Sequence[str]


def compare(
    a: Method,
    b: Method,
    *,
    where: Sequence[str] = (),
    results: Folders = "results",
    resamples: int = 2000,
    names: tuple[str, str] = ("a", "b"),
    warn: Warn = warnings.warn,
) -> Comparison:
    """Estimates by how much two methods differ, with 95 % intervals and p-values.

    Videos and seeds are paired.

    a, b: a run or its key, or what the method's runs have in common: `{"schedule": NAME}`, or
    conditions `COLUMN=VALUE`.
    where: conditions that both meet.
    names: what a message calls the two.
    """
    found = [] if isinstance(a, Run) and isinstance(b, Run) else results_in(results, warn)
    sides = [_side(method, where, found, name) for method, name in ((a, names[0]), (b, names[1]))]
    return comparison.compare(sides[0], sides[1], resamples)


def contrasts(
    file: PathLike,
    results: Folders = "results",
    *,
    resamples: int = 2000,
    warn: Warn = warnings.warn,
) -> list[Answer]:
    """Answers the contrasts of a file, with p-values corrected for how many they are (Holm).

    file: TOML, a table [[contrast]] each: `name`, `a` and `b`, lists of conditions COLUMN=VALUE,
    and perhaps `where` (conditions on both) and `metric`; `where` at the top holds for all.
    """
    family = read_contrasts(Path(file))
    return answers(family, results_in(results, warn), resamples)


def _side(method: Method, where: Sequence[str], found: Sequence[Result], name: str) -> Side:
    if isinstance(method, Run):
        return Side(method.key, (method.stored,))
    if isinstance(method, str):
        return comparison.chosen(found, method)
    if isinstance(method, Mapping):
        method = [f"{column}={value}" for column, value in method.items()]
    return comparison.matching(found, [*method, *several(where)], name)
