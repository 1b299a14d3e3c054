"""From result files to rows: a pure path, which can always be walked again without training."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from distillbench.errors import ConfigError, ResultError
from distillbench.knobs import nearest
from distillbench.results.record import Result, read

QUALITIES = ("gap", "map_at_20", "map", "hit_at_1", "perr")
_HIGHER_IS_BETTER = {*QUALITIES, "throughput"}
_MEASURED = ("latency", "throughput", "train_seconds")
_ALIASES = {"map20": "map_at_20", "hit1": "hit_at_1", "params": "parameters"}


@dataclass(frozen=True)
class Loaded:
    """The results found in some folders, and what was skipped and why."""

    results: tuple[Result, ...]
    skipped: tuple[str, ...]


def load(folders: Iterable[Path]) -> Loaded:
    """Reads every result of the folders; a file that cannot be read is skipped and named, the rest is kept.

    Raises `ResultError` where a folder does not exist.
    """
    results: dict[str, Result] = {}
    skipped = []
    for folder in folders:
        if not folder.is_dir():
            raise ResultError(f"there is no folder of results '{folder}'; distillbench run makes one")
        for path in sorted(folder.glob("*.json")):
            try:
                result = read(path)
                row(result)
            except (ResultError, KeyError, TypeError, AttributeError) as error:
                skipped.append(
                    str(error) if isinstance(error, ResultError) else f"'{path}' is no complete result: {error!r}"
                )
            else:
                results.setdefault(f"{result.id}/{result.content['finished']}", result)
    return Loaded(tuple(results.values()), tuple(skipped))


def row(result: Result) -> dict[str, Any]:
    """Flattens a result to the row that it is on the leaderboard of single runs."""
    c = result.content
    setup, cost, latency = c["setup"], c["cost"], c["cost"]["latency"]
    student = c["network"] == "student"
    selector = setup["selector"] if student else setup["teacher_selector"]
    return {
        "run": result.id,
        "data": setup["data"]["name"],
        "encoder": setup[c["network"]]["name"],
        "selector": selector["name"],
        "train_selector": setup["train_selector"]["name"] if student else selector["name"],
        "k": setup["k"] if student else "all",
        "loss": _objective(c),
        "schedule": setup["schedule"]["name"],
        "head": setup["head"]["name"],
        "preset": c.get("preset"),
        "seed": setup["seed"],
        **{name: c["metrics"][name] for name in QUALITIES},
        "macs": cost["macs"],
        "flops": cost["flops"],
        "published_macs": cost["published_macs"],
        "frames": cost["frames_read"],
        "bytes": cost["bytes_read"],
        "parameters": cost["parameters"],
        "memory": cost["peak_memory"],
        "latency": latency["1"]["median"],
        "latency_p95": latency["1"]["p95"],
        "throughput": latency["256"]["throughput"],
        "train_seconds": sum(c["budget"][network]["seconds"] for network in ("teacher", "student")),
        "precision": c["machine"]["precision"],
        "device": c["machine"]["device"],
        "plugins": ", ".join(_foreign(setup)),
        "warnings": "; ".join(c["warnings"]),
        "question": _question(setup, c),
    }


def frame(results: Sequence[Result]) -> pd.DataFrame:
    """Makes the table of single runs, one row a result."""
    return pd.DataFrame([row(result) for result in results])


def select(table: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """Keeps the rows that meet every condition `COLUMN=VALUE`; several values may be joined by `|`.

    Raises `ConfigError` for a condition of another form or an unknown column.
    """
    for condition in conditions:
        name, equals, value = condition.partition("=")
        name = _column(name.strip(), table, "--where")
        if not equals:
            raise ConfigError([f"--where takes COLUMN=VALUE, such as k=15; found '{condition}'"])
        wanted = {_plain(part.strip()) for part in value.split("|")}
        table = table[[_plain(str(cell)) in wanted for cell in table[name]]]
    return table


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Joins rows that differ in their seed alone: means, standard deviations (`gap_sd`) and the number of seeds."""
    rows = []
    for _, group in table.groupby("question", sort=False):
        joined = group.iloc[0].to_dict()
        for name in (*QUALITIES, *_MEASURED):
            values = pd.to_numeric(group[name])
            joined[name] = values.mean()
            if name in QUALITIES:
                joined[f"{name}_sd"] = values.std(ddof=1) if len(group) > 1 else float("nan")
        seeds = sorted(group["seed"])
        rows.append(joined | {"seed": seeds[0] if len(seeds) == 1 else None, "seeds": len(seeds)})
    return pd.DataFrame(rows)


def ranked(table: pd.DataFrame, by: str, top: int | None) -> pd.DataFrame:
    """Sorts by a column, best first (high quality, low cost), and keeps the first `top` rows."""
    name = _column(by, table, "--sort")
    ordered = table.sort_values(name, ascending=name not in _HIGHER_IS_BETTER, kind="stable", na_position="last")
    return ordered if top is None else ordered.head(top)


def _column(name: str, table: pd.DataFrame, flag: str) -> str:
    name = _ALIASES.get(name, name)
    if name not in table.columns:
        raise ConfigError(
            [f"{flag} knows no column '{name}'{nearest(name, table.columns)}; there are: {', '.join(table.columns)}"]
        )
    return name


def _plain(text: str) -> str:
    try:
        return repr(float(text))
    except ValueError:
        return text


def _objective(content: Mapping[str, Any]) -> str:
    """Writes what the reported network minimised, phase by phase, with weights other than 1."""
    network = content["network"]
    objectives = [
        phase["objectives"][network] for phase in content["setup"]["phases"] if network in phase["objectives"]
    ]
    written = [",".join(n if w == 1 else f"{n}:{w:g}" for n, w in terms.items()) for terms in objectives]
    return " > ".join(dict.fromkeys(written))


def _foreign(setup: Mapping[str, Any]) -> list[str]:
    """Lists the distributions, other than our own, that a setup's components come from."""
    choices = [c for c in setup.values() if isinstance(c, dict) and "distribution" in c] + list(
        setup["losses"].values()
    )
    return sorted({f"{c['distribution']} {c['version']}" for c in choices if c["distribution"] != "distillbench"})


def _question(setup: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """Writes what makes two rows the same question but for the seed."""
    asked = {name: value for name, value in setup.items() if name != "seed"}
    return json.dumps([asked, content["data"]["fingerprints"], content["machine"]["precision"]], sort_keys=True)
