"""From a stored run to a row of its own: the same network in 8 bits, evaluated and measured again."""

from __future__ import annotations

import dataclasses
import datetime

import torch

from distillbench.errors import ConfigError
from distillbench.evaluation.cost import peak_memory
from distillbench.evaluation.evaluate import evaluate
from distillbench.evaluation.quantization import quantized
from distillbench.interfaces import Network
from distillbench.networks import Model
from distillbench.registry import Registry
from distillbench.results import provenance, record
from distillbench.results.answer import measured
from distillbench.results.fidelity import fidelity
from distillbench.results.observing import columns
from distillbench.results.rebuild import rebuild
from distillbench.results.record import Result
from distillbench.storage import load_tensors
from distillbench.training.observer import SILENT, Observer

INT8 = "int8"


def quantize(result: Result, registry: Registry, observer: Observer = SILENT) -> Result:
    """Writes the row `<key>-int8` beside a run's: its quality, latency and memory in 8 bits, on the CPU.

    Weights of the products are quantised once, for each output apart, activations whenever they are multiplied; no
    training and no data is needed. Raises `ConfigError` for a row that is in 8 bits already, `NotApplicableError`
    where there is nothing to quantise, `ResultError` where the run cannot be built again.
    """
    if result.content.get("quantized_from"):
        raise ConfigError(
            [f"run {result.id} is in 8 bits already; it was made from {result.content['quantized_from']}"]
        )
    found = rebuild(result, registry, "cpu")
    parts, network = found.parts, found.parts.setup.answers
    model, view, test = quantized(parts.models[network]), parts.evaluation_views[network], parts.splits.test
    threads, cpu = torch.get_num_threads(), torch.device("cpu")
    torch.set_num_threads(result.content["machine"]["threads"])
    try:
        observer.said(f"evaluating run {result.id} in 8 bits on the test split")
        size = parts.setup.training.batch_size
        evaluation = evaluate(model, test, view, size, cpu, exact=True)
        cost = measured(model, test, view, cpu, evaluation)
        cost["peak_memory"] = peak_memory(model, test, view, cpu, result.content["cost"]["memory_batch"])
        alike = None
        if set(found.networks) == {"teacher", "student"}:
            models: dict[Network, Model] = {"teacher": parts.models["teacher"], "student": model}
            alike = dataclasses.asdict(fidelity(models, test, parts.evaluation_views, size, cpu))
        content = {
            **result.content,
            "id": f"{result.id}-{INT8}",
            "quantized_from": result.id,
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": provenance.versions(),
            "machine": provenance.machine(cpu) | {"precision": INT8, "runs_beside": 0},
            "commit": provenance.commit(),
            "metrics": dataclasses.asdict(evaluation.metrics),
            "columns": columns(evaluation.predictions, observer.said),
            "cost": {**result.content["cost"], **cost},
            "fidelity": alike,
        }
    finally:
        torch.set_num_threads(threads)
    weights, _ = load_tensors(result.student_path())
    return record.write(result.path.parent, content, weights, evaluation.predictions)
