"""A family of comparisons that was named beforehand, corrected for how many they are (Holm)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distillbench.analysis.comparison import Comparison, compare, matching
from distillbench.errors import ConfigError
from distillbench.interfaces import Difference
from distillbench.results.store import Result
from distillbench.toml_files import read_toml
from distillbench.untrusted import quoted

LEVEL = 0.05
"""How often a family may hold a false answer."""
_FIELDS = ("name", "a", "b", "where", "metric")


@dataclass(frozen=True)
class Contrast:
    """One question: by how much A is better than B.

    a, b: conditions COLUMN=VALUE on the runs of each.
    where: conditions on both.
    metric: its name; empty for the first one that the data is judged by.
    """

    name: str
    a: tuple[str, ...]
    b: tuple[str, ...]
    where: tuple[str, ...] = ()
    metric: str = ""


@dataclass(frozen=True)
class Answer:
    """What the results say of a contrast.

    difference: None where they say nothing, `reason` why.
    holm: the p-value after Holm's correction; 1 where there is none.
    notes: what limits it.
    """

    contrast: Contrast
    metric: str = ""
    difference: Difference | None = None
    holm: float = 1.0
    notes: tuple[str, ...] = ()
    reason: str = ""

    @property
    def holds(self) -> bool:
        """Whether the difference is real at 5 % for the family as a whole."""
        return self.holm <= LEVEL


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusts p-values so that at most 5 % of families have a false one at or below 0.05.

    Holm, 1979: the i-th smallest of m times m - i + 1, never below one before it, at most 1.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, highest = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = highest
    return adjusted


def read_contrasts(path: Path) -> list[Contrast]:
    """Reads a family of contrasts; raises `ConfigError` with all that is wrong with the file."""
    content = read_toml(path)
    entries, shared = content.pop("contrast", []), content.pop("where", [])
    problems = [f"{quoted(name)} is neither `where` nor a [[contrast]]" for name in content]
    if not isinstance(entries, list) or not entries:
        problems.append("it has no [[contrast]]")
        entries = []
    if not _are_conditions(shared):
        problems.append(f"where is {quoted(shared)}; it must be a list of COLUMN=VALUE")
    for number, entry in enumerate(entries, 1):
        problems += [f"contrast {number}: {problem}" for problem in _problems(entry)]
    names = [str(entry.get("name")) for entry in entries if isinstance(entry, Mapping)]
    repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    problems += [f"two contrasts are called {quoted(name)}" for name in repeated]
    if problems:
        raise ConfigError([f"{path}: {problem}" for problem in problems])
    return [
        Contrast(
            entry["name"],
            tuple(entry["a"]),
            tuple(entry["b"]),
            (*shared, *entry.get("where", ())),
            entry.get("metric", ""),
        )
        for entry in entries
    ]


def _problems(entry: object) -> list[str]:
    if not isinstance(entry, Mapping):
        return [f"it is {quoted(entry)}; it must be a table"]
    found = [
        f"{quoted(name)} is not one of: {', '.join(_FIELDS)}"
        for name in entry
        if name not in _FIELDS
    ]
    if not isinstance(entry.get("name"), str) or not entry["name"]:
        found.append("it needs a name")
    for side in ("a", "b"):
        if not entry.get(side) or not _are_conditions(entry[side]):
            found.append(f"{side} must be a list of COLUMN=VALUE, and is {quoted(entry.get(side))}")
    if not _are_conditions(entry.get("where", [])):
        found.append(f"where must be a list of COLUMN=VALUE, and is {quoted(entry['where'])}")
    if not isinstance(entry.get("metric", ""), str):
        found.append(f"metric must be the name of a metric, and is {quoted(entry['metric'])}")
    return found


def _are_conditions(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def answers(
    contrasts: Sequence[Contrast], results: Sequence[Result], resamples: int = 2000
) -> list[Answer]:
    """Answers every contrast. One that has no answer counts in the family all the same."""
    found = [_answer(contrast, results, resamples) for contrast in contrasts]
    adjusted = holm([each.difference.p if each.difference else 1.0 for each in found])
    return [
        Answer(each.contrast, each.metric, each.difference, p, each.notes, each.reason)
        for each, p in zip(found, adjusted, strict=True)
    ]


def _answer(contrast: Contrast, results: Sequence[Result], resamples: int) -> Answer:
    try:
        a, b = (
            matching(results, [*conditions, *contrast.where], side)
            for side, conditions in (("a", contrast.a), ("b", contrast.b))
        )
        comparison = compare(a, b, resamples)
    except ConfigError as error:
        return Answer(contrast, reason="; ".join(error.problems))
    return _of_metric(contrast, comparison)


def _of_metric(contrast: Contrast, comparison: Comparison) -> Answer:
    metric = contrast.metric or next(iter(comparison.titles))
    difference = comparison.differences.get(metric)
    if difference is None:
        known = ", ".join(comparison.differences) or "none"
        return Answer(contrast, reason=f"no interval for '{metric}'; there are: {known}")
    return Answer(contrast, comparison.titles[metric], difference, notes=comparison.notes)
