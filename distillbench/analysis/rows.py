"""From result files to rows: a pure path, which can always be walked again without training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from distillbench.analysis.convergence import still_improving
from distillbench.analysis.metric_columns import columns_of
from distillbench.config.run_spec import COMPONENT_FIELDS, without_releases
from distillbench.evaluation.steadiness import is_doubtful
from distillbench.results.failures import Failure
from distillbench.results.flatten import settings_of
from distillbench.results.store import Result

if TYPE_CHECKING:
    from distillbench.results.schema import StoredFailure, StoredResult, StoredTerm

FIDELITY = {
    "top_1": "same_top_1",
    "top_20": "same_top_20",
    "kl": "teacher_kl",
    "cka": "teacher_cka",
}
"""Columns of how far a student agrees with its teacher, by what a result calls them."""
INTERNAL = ("configuration", "videos", "settings", "files")
"""Columns by which rows are distinguished and chosen, and that are never printed."""


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
        **{title: fidelity.get(name) for name, title in FIDELITY.items()},
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
