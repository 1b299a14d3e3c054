"""Everything that the page tells of single runs: settings, provenance, cost, history."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distillbench.analysis.comparison import flat_settings
from distillbench.analysis.convergence import still_improving
from distillbench.analysis.rows import row
from distillbench.reports.amounts import amount, latency, six_digits
from distillbench.results.failures import Failure
from distillbench.results.flatten import settings_of
from distillbench.results.store import Result

MOST_VALUES = 400_000
"""How many values of learning curves a page holds; of more, every second epoch is left out."""

Section = Mapping[str, Any]


def details_of(results: Sequence[Result], failures: Sequence[Failure]) -> dict[str, Any]:
    """Describes runs by their key; `series` holds each learning curve once, as runs share them.

    A series is of every n-th epoch, n being `step`, so that a page stays small.
    """
    series = _Series(_step([result.content["history"] for result in results]))
    runs = {result.id: _of_result(result, series) for result in results}
    runs |= {failure.id: _of_failure(failure) for failure in failures}
    return {"runs": runs, "series": series.listed, "step": series.step}


def _of_result(result: Result, series: _Series) -> Mapping[str, Any]:
    content, record = result.content, result.record
    found = row(result)
    cost = content["cost"]
    amounts = {name: value for name, value in cost.items() if not isinstance(value, Mapping)}
    measured = {"latency": cost["latency"], "evaluation_seconds": cost["evaluation_seconds"]}
    sections = {
        "quality": settings_of(content["metrics"], six_digits),
        "fidelity to the teacher": settings_of(content.get("fidelity") or {}, six_digits),
        "exported file": settings_of(content.get("export") or {}, six_digits),
        "cost": settings_of(amounts, amount) | {"latency of one video": latency(found)},
        "time": settings_of(measured, six_digits),
        "budget": settings_of(content["budget"], six_digits),
        "data": settings_of(content["data"], six_digits),
    }
    provenance = {
        "result file": result.path.name,
        "commit": str(content.get("commit") or "-"),
        "preset": str(record.preset or "-"),
    }
    for name in ("quantized_from", "exported_from"):
        if content.get(name):
            provenance[name.replace("_", " ")] = str(content[name])
    return {
        "network": record.network,
        "status": "finished",
        "finished": record.finished,
        "seed": record.setup.seed,
        "command": _command(result),
        "settings": flat_settings(content),
        "sources": {name: Path(of).name for name, of in record.sources.items() if of != "default"},
        "sections": {"provenance": provenance} | {n: s for n, s in sections.items() if s},
        "notes": [*record.warnings, *still_improving(record.history)],
        "history": series.of(content["history"]),
    }


def _of_failure(failure: Failure) -> Mapping[str, Any]:
    record = failure.record
    return {
        "network": record.network,
        "status": record.status,
        "finished": record.finished or "",
        "seed": record.setup.seed,
        "command": "",
        "settings": flat_settings(failure.content),
        "sources": {},
        "sections": {"provenance": {"attempts": str(record.attempts)}},
        "notes": [f"{record.status}: {record.reason}", *record.warnings],
        "history": [],
    }


def _command(result: Result) -> str:
    """Writes what repeats a run and compares every number; a converted network has nothing such."""
    if result.record.quantized_from or result.record.exported_from:
        return ""
    folder = str(result.path.parent)
    return f"distillbench reproduce {result.id} --results {shlex.quote(folder)}"


class _Series:
    """Learning curves, each listed once."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.listed: list[Mapping[str, Any]] = []
        self._places: dict[str, int] = {}

    def of(self, history: Iterable[Mapping[str, Any]]) -> list[int]:
        """Returns the numbers of a history's series: of each phase, network and quantity."""
        curves: dict[tuple[str, str, str, str], list[float | None]] = {}
        for epoch in history:
            for network, learnt in epoch["networks"].items():
                for kind, values in (("loss", learnt["terms"]), ("quality", learnt["validation"])):
                    for name, value in values.items():
                        place = (epoch["phase"], network, kind, name)
                        curves.setdefault(place, []).append(_short(value))
        return [self._place(*place, values) for place, values in curves.items()]

    def _place(
        self, phase: str, network: str, kind: str, name: str, values: list[float | None]
    ) -> int:
        series = {
            "phase": phase,
            "network": network,
            "kind": kind,
            "name": name,
            "epochs": len(values),
            "values": values[self.step - 1 :: self.step],
        }
        return self._places.setdefault(json.dumps(series), self._added(series))

    def _added(self, series: Mapping[str, Any]) -> int:
        if json.dumps(series) not in self._places:
            self.listed.append(series)
        return len(self.listed) - 1


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _step(histories: Sequence[Sequence[Mapping[str, Any]]]) -> int:
    values = sum(
        len(learnt["terms"]) + len(learnt["validation"])
        for history in histories
        for epoch in history
        for learnt in epoch["networks"].values()
    )
    step = 1
    while values > MOST_VALUES * step:
        step *= 2
    return step
