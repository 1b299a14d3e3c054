"""What the reported network of a run costs, and what it was trained with."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from distillbench.data.batches import Measured
from distillbench.evaluation.cost import cost_of
from distillbench.evaluation.evaluate import Evaluation
from distillbench.evaluation.exits import ExitShare, shares
from distillbench.evaluation.fidelity import ViewedNetwork, fidelity
from distillbench.evaluation.latency import measure
from distillbench.interfaces import Videos
from distillbench.networks import Model
from distillbench.training.build import Experiment


def measure_cost(experiment: Experiment, evaluation: Evaluation) -> dict[str, Any]:
    """Counts and measures what a test video costs the reported network."""
    network = experiment.spec.reports
    model, test = experiment.models[network], experiment.splits.test
    view = experiment.evaluation_views[network]
    exits = exits_of(model, test, view, evaluation)
    cost = cost_of(model, test, view, experiment.device, exits=exits)
    found = dataclasses.asdict(cost)
    found["macs"] = cost.macs
    found["flops"] = None if cost.macs is None else 2 * cost.macs
    if exits:
        found["exits"] = [dataclasses.asdict(each) for each in exits]
    return found | measure_time(model, test, view, experiment.device, evaluation)


def measure_time(
    model: Model, test: Videos, view: Measured, device: torch.device, evaluation: Evaluation
) -> dict[str, Any]:
    """Returns what was read and how long it took.

    The time to evaluate the split, and the latency of the network alone at batch 1 and 256.
    """
    exits = exits_of(model, test, view, evaluation)
    latencies = {}
    for batch in (1, 256):
        latency = measure(model, test, view, device, batch, exits)
        latencies[str(batch)] = dataclasses.asdict(latency) | {"throughput": latency.throughput}
    return {
        "frames_read": evaluation.frames_read,
        "bytes_read": evaluation.bytes_read,
        "latency": latencies,
        "evaluation_seconds": {
            "reading": evaluation.reading,
            "model": evaluation.model,
            "metric": evaluation.metric,
            "sum": evaluation.reading + evaluation.model + evaluation.metric,
        },
    }


def exits_of(
    model: Model, videos: Videos, view: Measured, evaluation: Evaluation
) -> list[ExitShare]:
    """Counts where the videos of a split stopped.

    Empty for a network that always goes to the end.
    """
    if evaluation.used is None:
        return []
    index = view.index(videos, torch.arange(len(videos)), 0)
    most_frames = int((index >= 0).sum(1).max())
    return shares(evaluation.used, model.exits(most_frames))


def measure_fidelity(experiment: Experiment) -> dict[str, Any] | None:
    """Measures how far the student imitates its teacher on the test split.

    None where the run has no such pair.
    """
    teacher, student = experiment.spec.imitated, experiment.spec.reports
    if teacher is None or teacher not in experiment.models:
        return None
    models, views = experiment.models, experiment.evaluation_views
    found = fidelity(
        ViewedNetwork(models[teacher], views[teacher]),
        ViewedNetwork(models[student], views[student]),
        experiment.splits.test,
        experiment.spec.training.batch_size,
        experiment.device,
        experiment.processes,
    )
    return dataclasses.asdict(found)


def training_budget(
    history: Sequence[Mapping[str, Any]], networks: Iterable[str], chosen_by: str
) -> dict[str, Any]:
    """Adds up what each network was trained with; a phase in which both learn counts for both.

    chosen_by: the title of the metric that chose its epoch.
    """
    budget: dict[str, Any] = {"epoch_chosen_by": f"validation {chosen_by}"}
    for network in dict.fromkeys(("teacher", "student", *networks)):
        rows = [row for row in history if network in row["networks"]]
        # Steps and examples add up within a phase: its last epoch has those of all.
        last = {row["phase"]: row for row in rows}
        budget[network] = {
            "epochs": len(rows),
            "steps": sum(row["steps"] for row in last.values()),
            "examples": sum(row["examples"] for row in last.values()),
            "seconds": sum(row["seconds"] for row in rows),
        }
    return budget
