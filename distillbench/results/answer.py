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

from distillbench.data.batches import Measured
from distillbench.errors import ConfigError, ResultError
from distillbench.evaluation.cost import cost_of
from distillbench.evaluation.evaluate import Evaluation, evaluate
from distillbench.evaluation.exits import ExitShare, shares
from distillbench.evaluation.latency import measure
from distillbench.evaluation.metric_set import MetricSet, Say, installed_metrics, metrics_of
from distillbench.interfaces import INTERFACE_VERSION, Splits, Videos
from distillbench.metrics.ranking import counts_of
from distillbench.networks import Model, precision_on
from distillbench.processes import SOLO, Processes
from distillbench.registry import Registry
from distillbench.results import failures, labels, provenance, record
from distillbench.results.fidelity import Watched, fidelity
from distillbench.results.observing import watched
from distillbench.results.record import Result
from distillbench.setup import Setup, digest
from distillbench.training.assemble import Parts, assemble, open_data
from distillbench.training.checkpoint import Checkpoints
from distillbench.training.early_exit import tune_exit_policy
from distillbench.training.fit import Fitted, fit
from distillbench.training.observer import SILENT, Observer
from distillbench.training.signal_store import BUDGET
from distillbench.training.teachers import TeacherStore


@dataclass(frozen=True)
class Workplace:
    """Where a run happens: its device, the folder of results (teachers and checkpoints below it), what is done again.

    beside: how many other runs may be going on at the same time, for they slow down what is measured.
    observers: the plugins that are told how the run goes. processes: those that make the run together.
    signals_budget: bytes of what a standing teacher said of the training videos that are kept below its folder; they
    change how long a run takes, not its answer.
    """

    results: Path
    device: str = "auto"
    retrain: bool = False
    again: bool = False
    beside: int = 0
    observers: tuple[str, ...] = ()
    processes: Processes = SOLO
    signals_budget: int = BUDGET


def rehearse(setup: Setup, workplace: Workplace) -> Parts:
    """Checks everything that a run checks before it trains, and returns what it would train with; writes nothing."""
    record.check_place(workplace.results)
    check_threads(setup)
    device = find_device(workplace.device)
    use_threads(setup)
    return assemble(setup, open_data(setup), device)


def answer(
    setup: Setup,
    workplace: Workplace,
    registry: Registry,
    observer: Observer = SILENT,
    *,
    splits: Splits | None = None,
) -> Result:
    """Answers one question, or returns the answer that is there already for the same question and data.

    splits: of the setup's data, where they are open already.

    Several processes train and evaluate together; one of them reads, writes and measures, and all return its result.
    """
    processes = workplace.processes
    processes.decide(lambda: record.prepare(workplace.results))
    check_threads(setup)
    device = find_device(workplace.device)
    use_threads(setup, processes)
    metrics = metrics_of(setup.data.component, registry)
    splits = splits or processes.writer_first(lambda: open_data(setup))
    installed = installed_metrics(registry)
    anew = workplace.again or workplace.retrain
    known = None if anew else processes.decide(lambda: answered(setup, splits, workplace.results))
    if known is not None:
        observer.said(f"answered before ({known.path}); --again runs it again")
        return dataclasses.replace(known, metrics=installed)
    began = time.perf_counter()
    observer = watched(observer, workplace.observers, registry)
    observer.run_started({"id": setup.key, "setup": setup.describe(), "results": str(workplace.results)})
    parts = assemble(setup, splits, device, processes)
    checkpoints = Checkpoints(
        workplace.results / "checkpoints" / f"{setup.key}.safetensors",
        digest(
            [
                setup.key,
                _fingerprints(splits),
                device.type,
                parts.precision,
                setup.training.all_threads,
                torch.__version__,
            ]
        ),
    )
    teachers = TeacherStore(workplace.results / "teachers", workplace.retrain, workplace.signals_budget)
    fitted = fit(parts, metrics, teachers, checkpoints, observer)
    tune_exit_policy(parts)
    observer.said("evaluating on the test split")
    tested = evaluate_on_test(parts, metrics, observer.said)
    content = processes.decide(lambda: _written(parts, metrics, fitted, tested, workplace, began))
    result = Result(workplace.results / f"{setup.key}.json", content, installed)
    if processes.is_writer:
        checkpoints.clear()
        failures.forget(workplace.results, setup.key)
    observer.run_ended(result.content)
    return result


@dataclass(frozen=True)
class Tested:
    """How the trained networks did on the test split."""

    evaluation: Evaluation
    fidelity: dict[str, Any] | None


def evaluate_on_test(parts: Parts, metrics: MetricSet, say: Say) -> Tested:
    """Evaluates the network that answers on the test split, and beside its teacher where there is one.

    say: is told of a metric that fails.
    """
    network = parts.setup.reports
    evaluation = evaluate(
        parts.models[network],
        parts.splits.test,
        parts.evaluation_views[network],
        parts.setup.training.batch_size,
        parts.device,
        metrics,
        metrics.names,
        say=say,
        processes=parts.processes,
    )
    return Tested(evaluation, _fidelity(parts))


def _written(
    parts: Parts,
    metrics: MetricSet,
    fitted: Fitted,
    tested: Tested,
    workplace: Workplace,
    began: float,
) -> Mapping[str, Any]:
    """Measures what the answering network costs, with all threads of the run, and writes everything down."""
    setup, splits, evaluation, network = parts.setup, parts.splits, tested.evaluation, parts.setup.reports
    use_threads(setup)
    machine = provenance.machine(parts.device) | {
        "precision": parts.precision,
        "runs_beside": workplace.beside,
        "processes": parts.processes.count,
    }
    content = {
        "id": setup.key,
        "interface": INTERFACE_VERSION,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "network": network,
        "setup": setup.describe(),
        "objective": dict(setup.weights),
        "preset": setup.preset,
        "sources": dict(setup.sources),
        "warnings": [*setup.warnings, *_left_out(splits)],
        "data": _data(splits) | {"metrics": list(metrics.judged_by)},
        "versions": provenance.versions(),
        "machine": machine,
        "commit": provenance.commit(),
        "metrics": {**evaluation.metrics, **counts_of(evaluation.predictions)},
        "cost": _cost(parts, network, evaluation),
        "fidelity": tested.fidelity,
        "budget": _budget(fitted.history, setup.networks, metrics.first_title)
        | {"seconds_of_this_run": time.perf_counter() - began},
        "history": fitted.history,
    }
    labels.keep(workplace.results, splits.test)
    weights = parts.models[network].state_dict()
    return record.write(workplace.results, content, weights, evaluation.predictions).content


def _left_out(splits: Splits) -> list[str]:
    """Says how many bad records a shard data set left out, and why."""
    reasons: dict[str, int] = getattr(splits.train, "skipped", {})
    return [f"{count} records left out: {reason}" for reason, count in reasons.items()]


def check_threads(setup: Setup) -> None:
    """Raises `ConfigError` where a run asks for more threads than the machine has cores."""
    cores = os.cpu_count() or 1
    if setup.training.all_threads > cores:
        raise ConfigError(
            [f"training.threads = {setup.training.threads} is more than this machine has; it has {cores} cores"]
        )


def use_threads(setup: Setup, processes: Processes = SOLO) -> None:
    """Gives torch as many processor threads as the setup asks for; processes on one machine share them."""
    torch.set_num_threads(max(1, setup.training.all_threads // processes.neighbours))


def find_device(asked: str) -> torch.device:
    """Turns `auto`, `cpu` or `cuda` into a device; raises `ConfigError` where it is not there."""
    if asked not in ("auto", "cpu", "cuda"):
        raise ConfigError([f"--device takes auto, cpu or cuda; found '{asked}'"])
    if asked == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            ["--device cuda was asked for, and no GPU that torch can use was found; --device cpu runs without"]
        )
    return torch.device("cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu")


def answered(setup: Setup, splits: Splits, folder: Path) -> Result | None:
    """Returns the answer in a folder to the same question of the same data; None where there is none, or it is damaged.

    Raises `ResultError` where a folder stands in its place.
    """
    path = folder / f"{setup.key}.json"
    if path.is_dir():
        raise ResultError(f"'{path}' is a folder, where the result of this run is to be written; move it away")
    try:
        result = record.read(path)
    except ResultError:
        return None
    if result.content["data"]["fingerprints"] != _fingerprints(splits):
        return None
    return result if _has_its_precision(setup, result) else None


def _has_its_precision(setup: Setup, result: Result) -> bool:
    """Tells whether a result was computed in the precision that its question has on a CPU.

    Results on CPUs that are older than the rule were computed in whatever had been measured to be faster.
    """
    machine = result.content["machine"]
    ruled = precision_on(torch.device("cpu"), setup.training.precision)
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


def _fidelity(parts: Parts) -> dict[str, Any] | None:
    """Measures how far the student imitates its teacher; None where the run had no such pair."""
    teacher, student = parts.setup.imitated, parts.setup.reports
    if teacher is None or teacher not in parts.models:
        return None
    theirs, ours = (Watched(parts.models[n], parts.evaluation_views[n]) for n in (teacher, student))
    size = parts.setup.training.batch_size
    found = fidelity(theirs, ours, parts.splits.test, size, parts.device, parts.processes)
    return dataclasses.asdict(found)


def _cost(parts: Parts, network: str, evaluation: Evaluation) -> dict[str, Any]:
    model, view, test = parts.models[network], parts.evaluation_views[network], parts.splits.test
    exits = exits_of(model, test, view, evaluation)
    cost = cost_of(model, test, view, parts.device, exits=exits)
    counted = {"macs": cost.macs, "flops": None if cost.macs is None else 2 * cost.macs}
    stopped = {"exits": [dataclasses.asdict(each) for each in exits]} if exits else {}
    return dataclasses.asdict(cost) | counted | stopped | measured(model, test, view, parts.device, evaluation)


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


def exits_of(model: Model, videos: Videos, view: Measured, evaluation: Evaluation) -> list[ExitShare]:
    """Counts where the videos of a split stopped; nothing for a network that always goes to the end."""
    if evaluation.used is None:
        return []
    index = view.index(videos, torch.arange(len(videos)), 0)
    return shares(evaluation.used, model.exits(int((index >= 0).sum(1).max())))


def _budget(history: Sequence[Mapping[str, Any]], networks: Iterable[str], chosen_by: str) -> dict[str, Any]:
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
