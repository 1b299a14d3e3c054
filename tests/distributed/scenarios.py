"""Runs that tests make with one process and with two, and plugins that are hard to distribute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from running import run_experiment
from torch import nn

from distillbench.config.layers import flags
from distillbench.config.resolve import specs
from distillbench.distributed.processes import Processes
from distillbench.evaluation.evaluate import evaluate
from distillbench.evaluation.metric_set import MetricSet, metrics_of
from distillbench.experiments.context import RunContext
from distillbench.interfaces import NO_FRAME, FrameSelector, MatchingLoss, Requirements
from distillbench.registry.discovery import Component, Registry, discover
from distillbench.training.build import Experiment, assemble, open_data
from distillbench.training.callbacks import Observer
from distillbench.training.checkpoint import Checkpoints
from distillbench.training.loop import fit
from distillbench.training.output_cache import BUDGET, OutputCache
from distillbench.training.teacher_outputs import teacher_outputs
from distillbench.training.teacher_store import TeacherStore

CPU = torch.device("cpu")
SIZES = [
    "data.train=33",  # the last batch of 16 has one video: too few for two processes
    "data.validation=24",
    "data.test=33",
    "data.frames=12",
    "teacher.cell_size=8",
    "student.cell_size=8",
    "training.epochs=2",
    "training.batch_size=16",
    "training.precision=fp32",
    "training.threads=1",
]


class Relational(MatchingLoss):
    """The distances between the videos of a batch, on a learned scale."""

    requirements = Requirements(frozenset({"summary", "batch"}))

    def __init__(self, context) -> None:
        super().__init__(context)
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, student, teacher, batch):
        def distances(output):
            return nn.functional.pdist(output.encoding.summary)

        if len(batch.labels) == 1:
            return 0 * self.scale + 0 * student.logits.sum()
        return (self.scale * distances(student) - distances(teacher)).square().mean()


class Brightest(FrameSelector):
    """The k brightest of every second frame."""

    scan_stride = 2
    keeps = "at most k"

    def __init__(self, k) -> None:
        self.k = k

    def select(self, lengths, scanned, generator, training):
        seen = scanned.times >= 0
        best = (
            scanned.frames.sum(2)
            .masked_fill(~seen, -torch.inf)
            .topk(min(self.k, seen.shape[1]), 1)
            .indices
        )
        times = scanned.times.gather(1, best)
        late = times.masked_fill(times < 0, 10_000).sort(1).values
        return late.masked_fill(late == 10_000, NO_FRAME)


def registry() -> Registry:
    known = discover()
    components = [
        Component("matching-loss", "relational", Relational, "tests", "1"),
        Component("selector", "brightest", Brightest, "tests", "1"),
    ]
    return Registry([*known, *components], [], known.hooks)


def metrics_for(experiment: Experiment) -> MetricSet:
    return metrics_of(experiment.spec.data.component, registry())


def experiment_of(processes: Processes, *assignments: str, **choices: object) -> Experiment:
    torch.set_num_threads(1)
    spec = specs([flags({"k": 4, **choices}, [*SIZES, *assignments])], registry())[0]
    return assemble(spec, open_data(spec), CPU, processes)


def trained(
    processes: Processes,
    folder: Path,
    *assignments: str,
    cache_budget: int = BUDGET,
    **choices: object,
) -> dict[str, Any]:
    experiment = experiment_of(processes, *assignments, **choices)
    checkpoints = Checkpoints(folder / "checkpoint.safetensors", experiment.spec.key)
    teachers = TeacherStore(folder / "teachers", cache_budget=cache_budget)
    history = fit(experiment, metrics_for(experiment), teachers, checkpoints).history
    weights = {
        f"{n}.{name}": t
        for n, model in experiment.models.items()
        for name, t in model.state_dict().items()
    }
    for key, loss in experiment.losses.items():
        weights |= {f"{key}.{name}": t for name, t in loss.state_dict().items()}
    return {
        "weights": weights,
        "history": [{k: v for k, v in row.items() if k != "seconds"} for row in history],
    }


def serial(processes, folder):
    return trained(processes, folder, "loss.pred.reduction=sum", loss="rep,ce,pred:0.05")


def parallel(processes, folder):
    encoder = ["student.dropout=0.3", "student.dropout_place=summary"]
    return trained(processes, folder, *encoder, schedule="parallel", loss="rep,ce,pred")


def shuffled(processes, folder):
    return trained(processes, folder, "schedule.targets=shuffled", loss="rep,ce")


def relational(processes, folder):
    return trained(processes, folder, selector="brightest", loss="ce,relational")


def states(processes, folder):
    return trained(processes, folder, loss="rep-intermediate,ce")


def shuffled_states(processes, folder):
    return trained(processes, folder, "schedule.targets=shuffled", loss="rep-intermediate,ce")


def same_frames(processes, folder):
    return trained(processes, folder, "schedule.targets=same-frames", loss="ce,pred")


def ranked(processes, folder):
    losses = "ce,rank-frames,match-saliency"
    return trained(processes, folder, "selector.hidden=4", selector="scorer", loss=losses)


def rewarded(processes, folder):
    chosen = {"selector": "one-step-policy", "loss": "ce,reinforce:5"}
    return trained(processes, folder, "selector.hidden=4", **chosen)


def mixed(processes, folder):
    """Mixes videos whose partners are in the other process."""
    knobs = ["schedule.epochs_factor=1", "schedule.mixup=0.5"]
    return trained(processes, folder, *knobs, schedule="function-matching", train_selector="random")


def mixed_states(processes, folder):
    knobs = ["schedule.epochs_factor=1", "schedule.views=own"]
    choices = {"schedule": "function-matching", "loss": "ce,rep-intermediate"}
    return trained(processes, folder, *knobs, **choices)


def projected(processes, folder):
    knobs = ["student.cell_size=6"]
    return trained(processes, folder, *knobs, schedule="simkd", loss="rep,pred")


def evaluated(processes, folder):
    """Evaluates in several batches, so that both processes get some, and in one."""
    experiment = experiment_of(processes, schedule="scratch")
    model, view = experiment.models["student"], experiment.evaluation_views["student"]
    found = []
    for size in (4, 64):
        metrics = metrics_for(experiment)
        warnings = []
        evaluation = evaluate(
            model,
            experiment.splits.test,
            view,
            size,
            CPU,
            metrics,
            metrics.names,
            warn=warnings.append,
            processes=processes,
        )
        assert warnings == []
        arrays = {
            name: value
            for name, value in vars(evaluation.predictions).items()
            if hasattr(value, "dtype")
        }
        predictions = {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}
        found.append(
            {
                "metrics": evaluation.metrics,
                "predictions": predictions,
                "frames": evaluation.frames_read,
            }
        )
    return found


def cached_outputs(processes, folder):
    experiment = experiment_of(processes)
    every = torch.arange(len(experiment.splits.train))
    stores = [OutputCache(folder / str(shard), shard=shard) for shard in (16, 1000)]
    cached = [teacher_outputs(experiment, "teacher", None, store, Observer()) for store in stores]
    return [each.output(every, None, CPU).encoding.summary for each in cached]


def uncached(processes, folder):
    """Computes the teacher's outputs at every step."""
    return trained(processes, folder, loss="rep,ce,pred", cache_budget=0)


def resumed(processes, folder):
    """Resumes from a checkpoint that one process saved."""
    return trained(processes, folder.parent / "left", loss="rep,ce")


def finished(processes, folder):
    torch.set_num_threads(1)
    spec = specs([flags({"k": 4}, SIZES)], registry())[0]
    content = dict(run_experiment(spec, RunContext(folder, "cpu", processes=processes)).content)
    again = run_experiment(spec, RunContext(folder, "cpu", processes=processes)).content
    return {"content": content, "files": len(list(folder.glob("*"))), "again": again["finished"]}


SCENARIOS: dict[str, Callable[[Processes, Path], Any]] = {
    each.__name__: each
    for each in (
        serial,
        parallel,
        shuffled,
        relational,
        states,
        shuffled_states,
        same_frames,
        ranked,
        rewarded,
        mixed,
        mixed_states,
        projected,
        evaluated,
        cached_outputs,
        uncached,
        resumed,
        finished,
    )
}
