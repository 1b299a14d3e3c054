"""From result files to rows: a pure path, which can always be walked again without training."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distillbench.analysis.convergence import still_improving
from distillbench.analysis.metric_columns import columns_in, columns_of
from distillbench.config.run_spec import COMPONENT_FIELDS, without_releases
from distillbench.errors import ConfigError, ResultError
from distillbench.evaluation.steadiness import is_doubtful
from distillbench.interfaces import Metric
from distillbench.registry.knobs import nearest
from distillbench.results import failures
from distillbench.results.failures import Failure
from distillbench.results.flatten import settings_of
from distillbench.results.publishing import MANIFEST
from distillbench.results.store import Result, read

if TYPE_CHECKING:
    from distillbench.results.schema import StoredFailure, StoredResult, StoredTerm

_HIGHER_IS_BETTER = {"throughput"}
_MEASURED = ("latency", "throughput", "train_seconds")
_FIDELITY = {
    "top_1": "same_top_1",
    "top_20": "same_top_20",
    "kl": "teacher_kl",
    "cka": "teacher_cka",
}
INTERNAL = ("configuration", "videos", "settings", "files")
"""Columns by which rows are distinguished and chosen, and that are never printed."""

_PEOPLE_USE = ("data", "encoder", "schedule", "selector", "k", "loss", "seed")
_PEOPLE_SORT_BY = (
    *("macs", "latency", "parameters", "train_videos", "budget", "precision", "status"),
)
_ALIASES = {"params": "parameters"}


@dataclass(frozen=True)
class Loaded:
    """The results of some folders, the files that were skipped and why, and the failed runs."""

    results: tuple[Result, ...]
    skipped: tuple[str, ...]
    failures: tuple[Failure, ...] = ()


def load(folders: Iterable[Path], metrics: Mapping[str, Metric] | None = None) -> Loaded:
    """Reads every result of the folders.

    A file that is damaged is skipped and named, the rest is kept.

    metrics: those that are installed, by name, which every result is given.

    So is a second file of the same run in one folder: the one that is called by the run's key is
    kept.

    Raises `ResultError` where a folder does not exist.
    """
    return Loaded(*gathered(folders, lambda path: read(path, metrics), failures.read))


class _Stored(Protocol):
    """What a folder holds of a run."""

    @property
    def id(self) -> str:
        """The run's key."""


class _StoredResult(_Stored, Protocol):
    @property
    def path(self) -> Path:
        """The result's file."""

    @property
    def finished(self) -> str:
        """When the run ended."""


R = TypeVar("R", bound=_StoredResult)
F = TypeVar("F", bound=_Stored)


def gathered(
    folders: Iterable[Path],
    read_result: Callable[[Path], R],
    read_failure: Callable[[Path], F],
) -> tuple[tuple[R, ...], tuple[str, ...], tuple[F, ...]]:
    """Reads what folders hold: results, why files were skipped, and runs without a result.

    `load` says which of several files of a run is kept.
    """
    results: dict[str, R] = {}
    failed: dict[str, F] = {}
    skipped: list[str] = []
    for folder in folders:
        if not folder.is_dir():
            raise ResultError(
                f"there is no folder of results '{folder}'; distillbench run makes one"
            )
        paths = [path for path in sorted(folder.glob("*.json")) if path.name != MANIFEST]
        found = _readable(paths, read_result, skipped)
        of = {
            result.id: result
            for result in [*reversed(found), *(r for r in found if r.path.stem == r.id)]
        }
        for result in found:
            if of[result.id] is result:
                results.setdefault(f"{result.id}/{result.finished}", result)
            else:
                skipped.append(
                    f"'{result.path}' is of run {result.id}, as is '{of[result.id].path}', which is"
                    " kept"
                )
        unanswered = _readable(failures.files_in(folder), read_failure, skipped)
        failed |= {failure.id: failure for failure in unanswered}
    answered = {result.id for result in results.values()}
    without = tuple(failure for failure in failed.values() if failure.id not in answered)
    return tuple(results.values()), tuple(skipped), without


T = TypeVar("T")


def _readable(paths: Iterable[Path], read: Callable[[Path], T], skipped: list[str]) -> list[T]:
    """Reads files, and tells of those that are damaged."""
    found = []
    for path in paths:
        try:
            found.append(read(path))
        except ResultError as error:
            skipped.append(str(error))
    return found


def why_none(found: Loaded, folders: Sequence[Path]) -> str:
    """Makes the message about folders without results, and what they hold instead."""
    places = " and ".join(f"'{folder}'" for folder in folders)
    there = [
        _count(len(found.failures), "run", " without a result"),
        _count(len(found.skipped), "damaged file"),
    ]
    but = f", but {' and '.join(filter(None, there))}" if any(there) else ""
    return f"no results in {places} yet{but}; distillbench run makes the first"


def _count(count: int, what: str, then: str = "") -> str:
    return f"{count} {what}{'s' * (count != 1)}{then}" if count else ""


def row(result: Result) -> dict[str, Any]:
    """Flattens a result to the row that it is on the leaderboard of single runs."""
    record = result.record
    cost, budget, machine = record.cost, record.budget, record.machine
    export = record.export
    alone, batched = cost.latency["1"], cost.latency["256"]
    columns = columns_of(record, result.metrics)
    improving = still_improving(record.history)
    setup, prints = result.content["setup"], result.content["data"]["fingerprints"]
    found: dict[str, Any] = {
        **_identity(record, setup, improving),
        "metrics": columns,
        **{column.name: record.metrics[column.name] for column in columns},
        "macs": cost.macs,
        "flops": cost.flops,
        "published_macs": cost.published_macs,
        "frames": cost.frames_read,
        "bytes": cost.bytes_read,
        "parameters": cost.parameters,
        "memory": cost.peak_memory,
        "latency": alone.median,
        "latency_p95": alone.p95,
        "throughput": batched.throughput,
        "runs_beside": machine.runs_beside,
        "latency_doubtful": is_doubtful(alone.median, alone.p95, machine.runs_beside, alone.load),
        "train_seconds": record.seconds,
        "still_improving": bool(improving),
    }
    for network, spent in (("teacher", budget.teacher), ("student", budget.student)):
        found[f"{network}_epochs"] = spent.epochs
        found[f"{network}_steps"] = spent.steps
        found[f"{network}_examples"] = spent.examples
        found[f"{network}_seconds"] = spent.seconds
    fidelity = record.fidelity or {}
    return found | {
        "epoch_chosen_by": budget.epoch_chosen_by,
        "training_macs": budget.macs,
        "arm": record.tuned.arm,
        "trials": record.tuned.trials,
        "tuned_space": record.tuned.space,
        "budget": f"teacher {budget.teacher.epochs}, student {budget.student.epochs} epochs",
        **{title: fidelity.get(name) for name, title in _FIDELITY.items()},
        "train_videos": record.data.videos.train,
        "precision": machine.precision,
        "exporter": None if export is None else export.exporter,
        "runtime": None if export is None else export.runtime,
        "file_bytes": None if export is None else export.bytes,
        "device": machine.device,
        "status": "finished",
        "reason": "",
        "settings": settings_of({**setup, "fingerprints": prints}),
        "configuration": _configuration(
            setup, [prints, machine.precision, export and export.exporter]
        ),
        "videos": record.data.fingerprints.test,
        "files": (str(result.path),),
    }


def _identity(
    record: StoredResult | StoredFailure,
    setup: Mapping[str, Any],
    more_warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """The settings in words: the columns that a run has whether it has a result or not.

    setup: the settings as they are stored.
    more_warnings: beside those that were stored.
    """
    spec = record.setup
    reported = spec.networks[record.network]
    section, view = reported.section, reported.view
    chosen = view.selector or ("selector" if section == "student" else "teacher_selector")
    selector = setup[chosen]
    train_selector = selector["name"]
    if chosen == "selector":
        train_selector = _named_beside(setup["train_selector"], selector)
    return {
        "run": record.id,
        "data": spec.data.name,
        "encoder": setup[section]["name"],
        "selector": selector["name"],
        "train_selector": train_selector,
        "k": view.k or ("all" if chosen == "teacher_selector" else spec.k),
        "loss": _objective(record),
        "schedule": spec.schedule.name,
        "head": spec.head.name,
        "preset": record.preset,
        "seed": spec.seed,
        "plugins": ", ".join(_foreign(setup)),
        "warnings": "\n".join([*record.warnings, *more_warnings]),
        "settings": settings_of(setup),
    }


_NONE = object()


def _named_beside(choice: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Names a choice, with the knobs in which it differs from another of the same name."""
    same = other["name"] == choice["name"]
    differing = {
        n: v for n, v in choice["knobs"].items() if same and other["knobs"].get(n, _NONE) != v
    }
    return str(choice["name"]) + "".join(f" {name}={value}" for name, value in differing.items())


def failure_row(failure: Failure) -> dict[str, Any]:
    """Makes the row of a run without a result.

    Its settings and its status, and no numbers.
    """
    setup = failure.content["setup"]
    configuration = _configuration(setup, failure.status)
    return _identity(failure.record, setup) | {
        "status": failure.status,
        "reason": failure.reason,
        "configuration": configuration,
        "metrics": (),
        "files": (),
    }


def frame(results: Sequence[Result], failed: Sequence[Failure] = ()) -> pd.DataFrame:
    """Makes the table of single runs, with a row for each result and each failed run."""
    return pd.DataFrame(
        [row(result) for result in results] + [failure_row(failure) for failure in failed]
    )


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
        averaged = dict.fromkeys((*of_row, *_MEASURED, *_FIDELITY.values(), *floats))
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


def _objective(record: StoredResult | StoredFailure) -> str:
    """Writes what the reported network minimized, phase by phase, with weights other than 1."""
    phases = record.setup.phases
    learners = [p.learners[record.network] for p in phases if record.network in p.learners]
    written = [",".join(map(_term, learner.terms)) for learner in learners]
    return " > ".join(dict.fromkeys(written))


def _term(term: StoredTerm) -> str:
    weight = term.weight
    if isinstance(weight, Mapping):
        ends = weight["ramp"]
        return f"{term.loss}:{ends['start']:g}..{ends['end']:g}"
    return term.loss if weight == 1 else f"{term.loss}:{weight:g}"


def _foreign(spec: Mapping[str, Any]) -> list[str]:
    """Lists the distributions, other than our own, that a spec's components come from."""
    choices = [spec[name] for name in COMPONENT_FIELDS if name in spec] + list(
        spec["losses"].values()
    )
    return sorted(
        {
            f"{c['distribution']} {c['version']}"
            for c in choices
            if c["distribution"] != "distillbench"
        }
    )


def _configuration(spec: Mapping[str, Any], more: object) -> str:
    """Returns a text that two rows have in common that differ in the seed alone."""
    settings = {name: value for name, value in spec.items() if name != "seed"}
    text = json.dumps([without_releases(settings), more], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


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
