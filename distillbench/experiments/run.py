"""One run, straight down: open the data, build, train, evaluate, measure, write one result."""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from distillbench.config.run_spec import RunSpec, digest
from distillbench.errors import StoppedError
from distillbench.evaluation.evaluate import Evaluation, evaluate
from distillbench.evaluation.metric_set import MetricSet, Warn, installed_metrics, metrics_of
from distillbench.experiments import provenance
from distillbench.experiments.context import (
    RunContext,
    check_threads,
    find_device,
    open_for,
    prepare_machine,
    use_threads,
)
from distillbench.experiments.measure import measure_cost, measure_fidelity, training_budget
from distillbench.experiments.observers import watched
from distillbench.experiments.stored import find_stored, fingerprints
from distillbench.experiments.training_work import Works
from distillbench.interfaces import INTERFACE_VERSION, Splits
from distillbench.metrics.ranking import counts_of
from distillbench.registry.discovery import Registry
from distillbench.results import failures, store, test_labels
from distillbench.results.store import Result
from distillbench.training.build import Experiment, assemble
from distillbench.training.callbacks import SILENT, Observer
from distillbench.training.checkpoint import Checkpoints
from distillbench.training.early_exit import tune_exit_policy
from distillbench.training.loop import Fitted, fit
from distillbench.training.teacher_store import TeacherStore


def run_experiment(
    spec: RunSpec,
    context: RunContext,
    registry: Registry,
    observer: Observer = SILENT,
    *,
    splits: Splits | None = None,
) -> Result:
    """Makes one run, or returns its stored result for the same data.

    Several processes train and evaluate together; the main one reads, writes and measures, and all
    return its result.

    splits: of the spec's data, where they are open already.
    """
    processes = context.processes
    processes.broadcast(lambda: store.prepare(context.results))
    device = prepare_machine(spec, context)
    metrics = metrics_of(spec.data.component, registry)
    splits = splits or processes.main_first(lambda: open_for(spec, context))
    stored = processes.broadcast(lambda: _stored(spec, splits, context))
    if stored is not None:
        observer.message(f"stored already ({stored.path}); --again runs it again")
        return dataclasses.replace(stored, metrics=installed_metrics(registry))
    began = time.perf_counter()
    observer = watched(observer, context.observers, registry)
    observer.run_started(
        {"id": spec.key, "setup": spec.describe(), "results": str(context.results)}
    )
    experiment = assemble(spec, splits, device, processes)
    checkpoints = _checkpoints(experiment, context)
    teachers = TeacherStore(context.results / "teachers", context.retrain, context.cache_budget)
    bounds = context.bounds.get(spec.key, ())
    try:
        fitted = fit(experiment, metrics, teachers, checkpoints, observer, bounds)
    except StoppedError:
        checkpoints.clear()
        raise
    tune_exit_policy(experiment)
    observer.message("evaluating on the test split")
    evaluated = evaluate_on_test(experiment, metrics, observer.message)
    content = processes.broadcast(
        lambda: _write(experiment, metrics, fitted, evaluated, context, began)
    )
    if processes.is_main:  # only now: a run killed before this goes on from its checkpoint
        checkpoints.clear()
        failures.forget(context.results, spec.key)
    observer.run_ended(content)
    return Result(context.results / f"{spec.key}.json", content, installed_metrics(registry))


def dry_run(spec: RunSpec, context: RunContext) -> Experiment:
    """Checks a run as it is checked before training, and returns what it would train.

    Writes nothing.
    """
    store.check_place(context.results)
    check_threads(spec)
    device = find_device(context.device)
    use_threads(spec)
    return assemble(spec, open_for(spec, context), device)


@dataclass(frozen=True)
class Evaluated:
    """How the trained networks did on the test split."""

    evaluation: Evaluation
    fidelity: dict[str, Any] | None


def evaluate_on_test(experiment: Experiment, metrics: MetricSet, warn: Warn) -> Evaluated:
    """Evaluates the reported network on the test split, and compares it with its teacher.

    warn: is called with a message about a metric that fails.
    """
    network = experiment.spec.reports
    evaluation = evaluate(
        experiment.models[network],
        experiment.splits.test,
        experiment.evaluation_views[network],
        experiment.spec.training.batch_size,
        experiment.device,
        metrics,
        metrics.names,
        warn=warn,
        processes=experiment.processes,
    )
    return Evaluated(evaluation, measure_fidelity(experiment))


def _stored(spec: RunSpec, splits: Splits, context: RunContext) -> Result | None:
    """Returns the run's stored result, unless the user wants it made again."""
    if context.again or context.retrain:
        return None
    return find_stored(spec, fingerprints(splits), context.results)


def _checkpoints(experiment: Experiment, context: RunContext) -> Checkpoints:
    """Opens the checkpoints of a run.

    A checkpoint is of use only where everything that shapes the numbers to the last bit is the
    same: its fingerprint has what the run's key leaves out.
    """
    spec = experiment.spec
    shaped_by = [
        spec.key,
        fingerprints(experiment.splits),
        experiment.device.type,
        experiment.precision,
        spec.training.all_threads,
        torch.__version__,
    ]
    path = context.results / "checkpoints" / f"{spec.key}.safetensors"
    return Checkpoints(path, digest(shaped_by))


def _write(
    experiment: Experiment,
    metrics: MetricSet,
    fitted: Fitted,
    evaluated: Evaluated,
    context: RunContext,
    began: float,
) -> Mapping[str, Any]:
    """Measures the cost of the reported network, and writes the result.

    began: when the run did, by `time.perf_counter`.
    """
    spec, splits, evaluation = experiment.spec, experiment.splits, evaluated.evaluation
    use_threads(spec)  # the cost is measured alone, with all threads of the run
    machine = provenance.machine(experiment.device) | {
        "precision": experiment.precision,
        "runs_beside": context.runs_beside,
        "processes": experiment.processes.count,
    }
    cost = measure_cost(experiment, evaluation)
    budget = training_budget(fitted.history, spec.networks, metrics.first_title)
    budget["macs"] = Works().spent(spec, splits, fitted.history)
    content = {
        "id": spec.key,
        "interface": INTERFACE_VERSION,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "network": spec.reports,
        "setup": spec.describe(),
        "objective": dict(spec.weights),
        "preset": spec.preset,
        "tuned": {
            "arm": spec.tuned_arm,
            "trials": spec.tuned_trials,
            "space": spec.tuned_space,
        },
        "sources": dict(spec.sources),
        "warnings": [*spec.warnings, *_left_out(splits)],
        "data": _described_data(splits) | {"metrics": list(metrics.judged_by)},
        "versions": provenance.versions(),
        "machine": machine,
        "commit": provenance.commit(),
        "metrics": {**evaluation.metrics, **counts_of(evaluation.predictions)},
        "cost": cost,
        "fidelity": evaluated.fidelity,
        "budget": budget | {"seconds_of_this_run": time.perf_counter() - began},
        "history": fitted.history,
    }
    test_labels.keep(context.results, splits.test)
    weights = experiment.models[spec.reports].state_dict()
    return store.write(context.results, content, weights, evaluation.predictions).content


def _left_out(splits: Splits) -> list[str]:
    """Returns how many bad records a shard data set left out, and why."""
    reasons: dict[str, int] = getattr(splits.train, "skipped", {})
    return [f"{count} records left out: {reason}" for reason, count in reasons.items()]


def _described_data(splits: Splits) -> dict[str, Any]:
    """Describes a run's data as its result stores it."""
    return {
        "fingerprints": fingerprints(splits),
        "videos": {name: len(getattr(splits, name)) for name in ("train", "validation", "test")},
        "features": dict(splits.train.features),
        "classes": splits.train.labels.count,
        "longest": int(splits.test.lengths.max()),
    }
