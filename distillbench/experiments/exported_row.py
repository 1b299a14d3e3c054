"""The row of an exported file: what its runtime makes of the test split, and how fast."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor

from distillbench.evaluation.cost import count_macs
from distillbench.evaluation.evaluate import evaluate
from distillbench.evaluation.exits import ExitShare
from distillbench.evaluation.metric_set import metrics_of
from distillbench.experiments import provenance
from distillbench.experiments.measure import measure_time
from distillbench.experiments.restore import RestoredRun
from distillbench.interfaces import Clips, Encoding, Exporter, Output
from distillbench.metrics.ranking import counts_of
from distillbench.mixing import Mixing
from distillbench.networks import Model
from distillbench.registry.discovery import Registry
from distillbench.results import store
from distillbench.results.schema import StoredExport
from distillbench.results.store import Result
from distillbench.storage import load_tensors
from distillbench.training.callbacks import Observer


@dataclasses.dataclass(frozen=True)
class ExportedRow:
    """How an exported file does on the test split, and the predictions that it makes of it."""

    result: Result
    predictions: Any


class _InRuntime(Model):
    """Stands for a network where one is evaluated; an exported file makes its logits.

    It goes to the end with every video: what a file with exits saves, its time shows.
    """

    def __init__(self, network: Model, logits: Callable[[Clips], Tensor]) -> None:
        super().__init__(network.encoder, network.head, network.codec, features=network.features)
        self._logits = logits

    def forward(
        self, clips: Clips, *, with_states: bool = False, mixing: Mixing | None = None
    ) -> Output:
        """Returns the logits of clips, and encodings without any number."""
        return Output(Encoding(torch.empty(len(clips.lengths), 0)), self._logits(clips))


def runtime_of(exporter: Exporter) -> str:
    """Names what runs an exporter's files, with its version where it is installed."""
    try:
        return f"{exporter.runtime} {version(exporter.runtime)}"
    except PackageNotFoundError:
        return exporter.runtime


def row_of(
    file: StoredExport,
    precision: str,
    logits: Callable[[Clips], Tensor],
    found: RestoredRun,
    result: Result,
    registry: Registry,
    observer: Observer,
) -> ExportedRow:
    """Evaluates and times a file that was loaded; nothing is written."""
    experiment = found.experiment
    spec, split = experiment.spec, experiment.splits.test
    network, view = experiment.models[spec.reports], experiment.evaluation_views[spec.reports]
    model, cpu = _InRuntime(network, logits).eval(), torch.device("cpu")
    metrics = metrics_of(spec.data.component, registry)
    size = spec.training.batch_size
    evaluation = evaluate(
        model, split, view, size, cpu, metrics, metrics.names, warn=observer.message
    )
    cost = {"peak_memory": None, "exits": []} | measure_time(model, split, view, cpu, evaluation)
    if network.exit_policy is not None:
        cost |= _macs_of_all_exits(network, split.width, view.slots)
    content = {
        **result.content,
        "id": f"{result.id}-{file.exporter}",
        "exported_from": result.id,
        "export": dataclasses.asdict(file),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": provenance.versions(),
        "machine": provenance.machine(cpu) | {"precision": precision, "runs_beside": 0},
        "commit": provenance.commit(),
        "data": {**result.content["data"], "metrics": list(metrics.judged_by)},
        "metrics": {**evaluation.metrics, **counts_of(evaluation.predictions)},
        "cost": {**result.content["cost"], **cost},
        "fidelity": None,
    }
    return ExportedRow(Result(result.path, content, result.metrics), evaluation.predictions)


def _macs_of_all_exits(network: Model, width: int, slots: int) -> Mapping[str, Any]:
    """Counts a file that computes every exit, whatever the videos are like."""
    counted = [
        count_macs(network, width, slots, slots, [ExitShare(0, frames, 1.0)])[:2]
        for frames in network.exits(slots)
    ]
    known = [part for pair in counted for part in pair if part is not None]
    macs = sum(known) if len(known) == 2 * len(counted) else None
    return {"macs": macs, "flops": None if macs is None else 2 * macs}


def store_row(row: ExportedRow, result: Result) -> Result:
    """Stores a row beside the result of its run."""
    weights, _ = load_tensors(result.student_path())
    return store.write(
        result.path.parent, row.result.content, weights, row.predictions, result.metrics
    )
