"""From a stored run to a row of its own.

The same network in 8 bits, evaluated and measured again.
"""

from __future__ import annotations

import dataclasses
import datetime

import torch

from distillbench.errors import ConfigError
from distillbench.evaluation.cost import peak_memory
from distillbench.evaluation.metric_set import metrics_of
from distillbench.evaluation.quantization import quantized
from distillbench.experiments import provenance
from distillbench.experiments.measure import measure_time
from distillbench.experiments.restore import restore
from distillbench.experiments.run import evaluate_on_test
from distillbench.metrics.ranking import counts_of
from distillbench.registry.discovery import Registry
from distillbench.results import store
from distillbench.results.store import Result
from distillbench.storage import load_tensors
from distillbench.training.callbacks import SILENT, Observer

INT8 = "int8"


def quantize(result: Result, registry: Registry, observer: Observer = SILENT) -> Result:
    """Writes the row `<key>-int8` beside a run's.

    Its quality, latency and memory in 8 bits, on the CPU.

    Weights of the products are quantized once, for each output apart, activations whenever they are
    multiplied; no training and no data is needed. Raises `ConfigError` for a row that is in 8 bits
    already or of an exported file, `NotApplicableError` where there is nothing to quantize,
    `ResultError` where the run cannot be built again.
    """
    if result.record.quantized_from:
        raise ConfigError(
            [
                f"run {result.id} is in 8 bits already; it was made from"
                f" {result.record.quantized_from}"
            ]
        )
    if result.record.exported_from:
        raise ConfigError(
            [f"run {result.id} is an exported file's row; quantize {result.record.exported_from}"]
        )
    found = restore(result, registry, "cpu")
    network, split, view = (
        found.experiment.spec.reports,
        found.experiment.splits.test,
        found.experiment.evaluation_views,
    )
    model = quantized(found.experiment.models[network])
    models = {name: found.experiment.models[name] for name in found.networks} | {network: model}
    threads, cpu = torch.get_num_threads(), torch.device("cpu")
    torch.set_num_threads(result.record.machine.threads)
    try:
        observer.message(f"evaluating run {result.id} in 8 bits on the test split")
        metrics = metrics_of(found.experiment.spec.data.component, registry)
        experiment = dataclasses.replace(found.experiment, models=models)
        tested = evaluate_on_test(experiment, metrics, observer.message)
        cost = measure_time(model, split, view[network], cpu, tested.evaluation)
        cost["peak_memory"] = peak_memory(
            model, split, view[network], cpu, result.record.cost.memory_batch or 256
        )
        content = {
            **result.content,
            "id": f"{result.id}-{INT8}",
            "quantized_from": result.id,
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": provenance.versions(),
            "machine": provenance.machine(cpu) | {"precision": INT8, "runs_beside": 0},
            "commit": provenance.commit(),
            "data": {**result.content["data"], "metrics": list(metrics.judged_by)},
            "metrics": {**tested.evaluation.metrics, **counts_of(tested.evaluation.predictions)},
            "cost": {**result.content["cost"], **cost},
            "fidelity": tested.fidelity,
        }
    finally:
        torch.set_num_threads(threads)
    weights, _ = load_tensors(result.student_path())
    predictions = tested.evaluation.predictions
    return store.write(result.path.parent, content, weights, predictions, result.metrics)
