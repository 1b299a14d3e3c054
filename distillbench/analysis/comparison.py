"""Two methods on the same videos: how much they differ, how sure that is, and in which settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillbench.analysis.convergence import still_improving
from distillbench.analysis.intervals import bootstrap
from distillbench.analysis.leaderboard import differing, select
from distillbench.analysis.metric_columns import columns_of
from distillbench.analysis.rows import frame
from distillbench.analysis.significance import values_of
from distillbench.errors import ConfigError
from distillbench.interfaces import Difference
from distillbench.results.flatten import settings_of
from distillbench.results.store import Result


@dataclass(frozen=True)
class Side:
    """One of two methods: its runs, which differ in their seed alone."""

    name: str
    results: tuple[Result, ...]

    @property
    def by_seed(self) -> dict[int, Result]:
        """The runs by their seed."""
        return {result.record.setup.seed: result for result in self.results}


@dataclass(frozen=True)
class Comparison:
    """What was found.

    notes: what limits it.
    settings: name, A's value and B's, of every setting that differs.

    differences: by the metric's name.
    titles: what each of these is called.
    """

    a: Side
    b: Side
    videos: int
    differences: Mapping[str, Difference]
    titles: Mapping[str, str]
    settings: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]


def compare(a: Side, b: Side, resamples: int = 2000) -> Comparison:
    """Compares two methods that were tested on the same videos.

    Raises `ConfigError` where they were not.
    """
    print_a, print_b = (_fingerprint(side) for side in (a, b))
    if print_a != print_b:
        raise ConfigError(
            [
                f"{a.name} and {b.name} were tested on different videos ({print_a} and {print_b});"
                " only runs on the same can be compared"
            ]
        )
    ids = {result.predictions().ids for side in (a, b) for result in side.results}
    if len(ids) > 1:
        raise ConfigError(
            ["the stored predictions are of different videos, or in another order; run them again"]
        )
    differences = {}
    damage: list[str] = []
    columns = [c for c in columns_of(a.results[0].record, a.results[0].metrics) if c.is_judge]
    for column in columns:
        if not column.has_interval:
            continue
        ours, theirs = (
            values_of(list(side.by_seed.values()), column.name, damage.append) for side in (a, b)
        )
        if ours is not None and theirs is not None:
            differences[column.name] = bootstrap(ours, theirs, resamples)
    videos = len(next(iter(ids)))
    notes = [*notes_of(a, b), *dict.fromkeys(damage)]
    lacking = [c.title for c in columns if c.has_interval and c.name not in differences]
    if lacking and not damage:
        listed = ", ".join(lacking)
        notes.append(
            f"{listed} needs the test labels, which an older run did not store: --again stores them"
        )
    titles = {column.name: column.title for column in columns}
    return Comparison(
        a,
        b,
        videos,
        differences,
        titles,
        settings_that_differ(a.results[0], b.results[0]),
        tuple(notes),
    )


def _fingerprint(side: Side) -> str:
    return side.results[0].record.data.fingerprints.test


def notes_of(a: Side, b: Side) -> list[str]:
    """Says what limits a comparison: training that had not ended, and seeds."""
    notes = [*_still_improving("A", a), *_still_improving("B", b)]
    seeds = [set(side.by_seed) for side in (a, b)]
    common = seeds[0] & seeds[1]
    if max(map(len, seeds)) == 1:
        notes.append(
            "one seed each: the interval speaks of these two trained networks, not of the methods"
        )
    elif not common:
        notes.append("no seed in common: the seeds' errors of both sides are added up")
    elif len(common) == 1:
        notes.append(
            "one seed in common: the interval holds nothing of what other seeds would change"
        )
    left = sorted((seeds[0] | seeds[1]) - common)
    if common and left:
        notes.append(f"seeds that one side lacks are left out: {', '.join(map(str, left))}")
    return notes


def _still_improving(name: str, side: Side) -> list[str]:
    count = sum(bool(still_improving(result.record.history)) for result in side.results)
    if not count:
        return []
    return [
        f"{count} of {len(side.results)} runs of {name} were still improving when training ended:"
        " train longer before you compare"
    ]


def settings_that_differ(a: Result, b: Result) -> tuple[tuple[str, str, str], ...]:
    """Lists every setting, machine fact and version in which two runs differ; their seed is none.

    Of a component that one of them lacks the knobs are not listed.
    """
    ours, theirs = (flat_settings(result.content) for result in (a, b))
    names = dict.fromkeys([*ours, *theirs])
    lacking = tuple(f"{name}." for name in names if (name in ours) != (name in theirs))
    return tuple(
        (name, ours.get(name, "-"), theirs.get(name, "-"))
        for name in names
        if ours.get(name) != theirs.get(name) and name != "seed" and not name.startswith(lacking)
    )


def flat_settings(content: Mapping[str, Any]) -> dict[str, str]:
    """Lists what runs may differ in, by dotted name: settings, the machine and versions."""
    around = {name: content.get(name, {}) for name in ("machine", "versions")}
    return settings_of(content["setup"]) | settings_of(around)


def chosen(results: Sequence[Result], name: str) -> Side:
    """Finds one run by its key, or else the beginning of it.

    Raises `ConfigError` where there is none, or several.
    """
    keys = {result.id for result in results if result.id == name}
    keys = keys or {result.id for result in results if result.id.startswith(name)}
    if Path(name).suffix == ".json":
        keys = {result.id for result in results if result.path.resolve() == Path(name).resolve()}
    if len(keys) != 1:
        found = f"{len(keys)} runs begin with that" if keys else "no run is called so"
        raise ConfigError(
            [f"run '{name}': {found}; distillbench leaderboard --each --format csv lists them"]
        )
    return Side(name, tuple(result for result in results if result.id in keys)[:1])


def matching(results: Sequence[Result], conditions: Sequence[str], flag: str) -> Side:
    """Finds the runs that meet every condition.

    They must differ in their seed alone, or `ConfigError` names what else.
    """
    rows = select(frame(results), conditions, flag)
    condition = " ".join(conditions)
    if rows.empty:
        raise ConfigError([f"{flag} {condition}: none of {len(results)} results meets that"])
    methods = rows["configuration"].nunique()
    if methods > 1:
        listed = "; ".join(
            f"{name}: {', '.join(values)}" for name, values in differing(rows).items()
        )
        raise ConfigError(
            [
                f"{flag} {condition} meets {methods} methods, and a comparison needs one;"
                f" they differ in {listed}: add {flag} NAME=VALUE"
            ]
        )
    ids = set(rows["run"])
    return Side(condition, tuple({r.record.setup.seed: r for r in results if r.id in ids}.values()))
