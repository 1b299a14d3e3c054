"""One run, straight down: open the data, build the parts, train, evaluate, write one result."""

from __future__ import annotations

import dataclasses
import datetime
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from distillbench.config.run_spec import RunSpec, digest
from distillbench.data.batches import Measured
from distillbench.distributed.processes import SINGLE, Processes
from distillbench.errors import ConfigError, ResultError
from distillbench.evaluation.cost import cost_of
from distillbench.evaluation.evaluate import Evaluation, evaluate
from distillbench.evaluation.exits import ExitShare, shares
from distillbench.evaluation.fidelity import ViewedNetwork, fidelity
from distillbench.evaluation.latency import measure
from distillbench.evaluation.metric_set import MetricSet, Warn, installed_metrics, metrics_of
from distillbench.experiments import provenance
from distillbench.experiments.observers import watched
from distillbench.interfaces import INTERFACE_VERSION, Splits, Videos
from distillbench.metrics.ranking import counts_of
from distillbench.networks import Model, precision_on
from distillbench.registry.discovery import Registry
from distillbench.results import failures, store, test_labels
from distillbench.results.store import Result
from distillbench.training.build import Experiment, assemble, open_data
from distillbench.training.callbacks import SILENT, Observer
from distillbench.training.checkpoint import Checkpoints
from distillbench.training.early_exit import tune_exit_policy
from distillbench.training.loop import Fitted, fit
from distillbench.training.output_cache import BUDGET
from distillbench.training.teacher_store import TeacherStore


@dataclass(frozen=True)
class RunContext:
    """Where a run happens: its device, the folder of results (teachers and checkpoints below it), what is done again.

    beside: how many other runs may be going on at the same time, for they slow down what is measured.
    observers: the plugins that are told how the run goes. processes: those that make the run together.
    cache_budget: bytes of what a standing teacher said of the training videos that are kept below its folder; they
    change how long a run takes, not its answer.
    """

    results: Path
    device: str = "auto"
    retrain: bool = False
    again: bool = False
    runs_beside: int = 0
    observers: tuple[str, ...] = ()
    processes: Processes = SINGLE
    cache_budget: int = BUDGET


def dry_run(spec: RunSpec, context: RunContext) -> Experiment:
    """Checks everything that a run checks before it trains, and returns what it would train with; writes nothing."""
    store.check_place(context.results)
    check_threads(spec)
    device = find_device(context.device)
    use_threads(spec)
    return assemble(spec, open_data(spec), device)


def run_experiment(
    spec: RunSpec,
    context: RunContext,
    registry: Registry,
    observer: Observer = SILENT,
    *,
    splits: Splits | None = None,
) -> Result:
    """Answers one question, or returns the answer that is there already for the same question and data.

    splits: of the setup's data, where they are open already.

    Several processes train and evaluate together; one of them reads, writes and measures, and all return its result.
    """
    processes = context.processes
    processes.broadcast(lambda: store.prepare(context.results))
    check_threads(spec)
    device = find_device(context.device)
    use_threads(spec, processes)
    metrics = metrics_of(spec.data.component, registry)
    splits = splits or processes.main_first(lambda: open_data(spec))
    installed = installed_metrics(registry)
    anew = context.again or context.retrain
    known = (
        None if anew else processes.broadcast(lambda: find_stored(spec, splits, context.results))
    )
    if known is not None:
        observer.message(f"stored already ({known.path}); --again runs it again")
        return dataclasses.replace(known, metrics=installed)
    began = time.perf_counter()
    observer = watched(observer, context.observers, registry)
    observer.run_started(
        {"id": spec.key, "setup": spec.describe(), "results": str(context.results)}
    )
    experiment = assemble(spec, splits, device, processes)
    checkpoints = Checkpoints(
        context.results / "checkpoints" / f"{spec.key}.safetensors",
        digest(
            [
                spec.key,
                _fingerprints(splits),
                device.type,
                experiment.precision,
                spec.training.all_threads,
                torch.__version__,
            ]
        ),
    )
    teachers = TeacherStore(context.results / "teachers", context.retrain, context.cache_budget)
    fitted = fit(experiment, metrics, teachers, checkpoints, observer)
    tune_exit_policy(experiment)
    observer.message("evaluating on the test split")
    tested = evaluate_on_test(experiment, metrics, observer.message)
    content = processes.broadcast(
        lambda: _written(experiment, metrics, fitted, tested, context, began)
    )
    result = Result(context.results / f"{spec.key}.json", content, installed)
    if processes.is_main:
        checkpoints.clear()
        failures.forget(context.results, spec.key)
    observer.run_ended(result.content)
    return result


@dataclass(frozen=True)
class Evaluated:
    """How the trained networks did on the test split."""

    evaluation: Evaluation
    fidelity: dict[str, Any] | None


def evaluate_on_test(experiment: Experiment, metrics: MetricSet, warn: Warn) -> Evaluated:
    """Evaluates the network that answers on the test split, and beside its teacher where there is one.

    say: is told of a metric that fails.
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
    return Evaluated(evaluation, _fidelity(experiment))


def _written(
    experiment: Experiment,
    metrics: MetricSet,
    fitted: Fitted,
    tested: Evaluated,
    context: RunContext,
    began: float,
) -> Mapping[str, Any]:
    """Measures what the answering network costs, with all threads of the run, and writes everything down."""
    spec, splits, evaluation, network = (
        experiment.spec,
        experiment.splits,
        tested.evaluation,
        experiment.spec.reports,
    )
    use_threads(spec)
    machine = provenance.machine(experiment.device) | {
        "precision": experiment.precision,
        "runs_beside": context.runs_beside,
        "processes": experiment.processes.count,
    }
    content = {
        "id": spec.key,
        "interface": INTERFACE_VERSION,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "network": network,
        "setup": spec.describe(),
        "objective": dict(spec.weights),
        "preset": spec.preset,
        "sources": dict(spec.sources),
        "warnings": [*spec.warnings, *_left_out(splits)],
        "data": _data(splits) | {"metrics": list(metrics.judged_by)},
        "versions": provenance.versions(),
        "machine": machine,
        "commit": provenance.commit(),
        "metrics": {**evaluation.metrics, **counts_of(evaluation.predictions)},
        "cost": _cost(experiment, network, evaluation),
        "fidelity": tested.fidelity,
        "budget": _budget(fitted.history, spec.networks, metrics.first_title)
        | {"seconds_of_this_run": time.perf_counter() - began},
        "history": fitted.history,
    }
    test_labels.keep(context.results, splits.test)
    weights = experiment.models[network].state_dict()
    return store.write(context.results, content, weights, evaluation.predictions).content


def _left_out(splits: Splits) -> list[str]:
    """Says how many bad records a shard data set left out, and why."""
    reasons: dict[str, int] = getattr(splits.train, "skipped", {})
    return [f"{count} records left out: {reason}" for reason, count in reasons.items()]


def check_threads(spec: RunSpec) -> None:
    """Raises `ConfigError` where a run asks for more threads than the machine has cores."""
    cores = os.cpu_count() or 1
    if spec.training.all_threads > cores:
        raise ConfigError(
            [
                f"training.threads = {spec.training.threads} is more than this machine has; it has {cores} cores"
            ]
        )


def use_threads(spec: RunSpec, processes: Processes = SINGLE) -> None:
    """Gives torch as many processor threads as the setup asks for; processes on one machine share them."""
    torch.set_num_threads(max(1, spec.training.all_threads // processes.local_world_size))


def find_device(asked: str) -> torch.device:
    """Turns `auto`, `cpu` or `cuda` into a device; raises `ConfigError` where it is not there."""
    if asked not in ("auto", "cpu", "cuda"):
        raise ConfigError([f"--device takes auto, cpu or cuda; found '{asked}'"])
    if asked == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            [
                "--device cuda was asked for, and no GPU that torch can use was found; --device cpu runs without"
            ]
        )
    return torch.device("cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu")


def find_stored(spec: RunSpec, splits: Splits, folder: Path) -> Result | None:
    """Returns the answer in a folder to the same question of the same data; None where there is none, or it is damaged.

    Raises `ResultError` where a folder stands in its place.
    """
    path = folder / f"{spec.key}.json"
    if path.is_dir():
        raise ResultError(
            f"'{path}' is a folder, where the result of this run is to be written; move it away"
        )
    try:
        result = store.read(path)
    except ResultError:
        return None
    if result.content["data"]["fingerprints"] != _fingerprints(splits):
        return None
    return result if _has_its_precision(spec, result) else None


def _has_its_precision(spec: RunSpec, result: Result) -> bool:
    """Tells whether a result was computed in the precision that its question has on a CPU.

    Results on CPUs that are older than the rule were computed in whatever had been measured to be faster.
    """
    machine = result.content["machine"]
    ruled = precision_on(torch.device("cpu"), spec.training.precision)
    return bool(machine["device"] != "cpu" or machine["precision"] == ruled)


def _fingerprints(splits: Splits) -> dict[str, str]:
    return {name: getattr(splits, name).fingerprint for name in ("train", "validation", "test")}


def _data(splits: Splits) -> dict[str, Any]:
    return {
        "fingerprints": _fingerprints(splits),
        "videos": {name: len(getattr(splits, name)) for name in ("train", "validation", "test")},
        "features": dict(splits.train.features),
        "classes": splits.train.labels.count,
        "longest": int(splits.test.lengths.max()),
    }


def _fidelity(experiment: Experiment) -> dict[str, Any] | None:
    """Measures how far the student imitates its teacher; None where the run had no such pair."""
    teacher, student = experiment.spec.imitated, experiment.spec.reports
    if teacher is None or teacher not in experiment.models:
        return None
    theirs, ours = (
        ViewedNetwork(experiment.models[n], experiment.evaluation_views[n])
        for n in (teacher, student)
    )
    size = experiment.spec.training.batch_size
    found = fidelity(
        theirs, ours, experiment.splits.test, size, experiment.device, experiment.processes
    )
    return dataclasses.asdict(found)


def _cost(experiment: Experiment, network: str, evaluation: Evaluation) -> dict[str, Any]:
    model, view, test = (
        experiment.models[network],
        experiment.evaluation_views[network],
        experiment.splits.test,
    )
    exits = exits_of(model, test, view, evaluation)
    cost = cost_of(model, test, view, experiment.device, exits=exits)
    counted = {"macs": cost.macs, "flops": None if cost.macs is None else 2 * cost.macs}
    stopped = {"exits": [dataclasses.asdict(each) for each in exits]} if exits else {}
    return (
        dataclasses.asdict(cost)
        | counted
        | stopped
        | measured(model, test, view, experiment.device, evaluation)
    )


def measured(
    model: Model, test: Videos, view: Measured, device: torch.device, evaluation: Evaluation
) -> dict[str, Any]:
    """What was read and how long it took: evaluating the split, and the network alone at batch 1 and 256."""
    exits = exits_of(model, test, view, evaluation)
    latencies = {str(batch): measure(model, test, view, device, batch, exits) for batch in (1, 256)}
    return {
        "frames_read": evaluation.frames_read,
        "bytes_read": evaluation.bytes_read,
        "latency": {
            batch: dataclasses.asdict(latency) | {"throughput": latency.throughput}
            for batch, latency in latencies.items()
        },
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
    """Counts where the videos of a split stopped; nothing for a network that always goes to the end."""
    if evaluation.used is None:
        return []
    index = view.index(videos, torch.arange(len(videos)), 0)
    return shares(evaluation.used, model.exits(int((index >= 0).sum(1).max())))


def _budget(
    history: Sequence[Mapping[str, Any]], networks: Iterable[str], chosen_by: str
) -> dict[str, Any]:
    """Adds up what each network was trained with; a phase in which both learn counts for both.

    chosen_by: the title of the metric that chose its epoch.
    """
    budget: dict[str, Any] = {"epoch_chosen_by": f"validation {chosen_by}"}
    for network in dict.fromkeys(("teacher", "student", *networks)):
        rows = [row for row in history if network in row["networks"]]
        last = {row["phase"]: row for row in rows}
        budget[network] = {
            "epochs": len(rows),
            "steps": sum(row["steps"] for row in last.values()),
            "examples": sum(row["examples"] for row in last.values()),
            "seconds": sum(row["seconds"] for row in rows),
        }
    return budget
