"""What does a teacher cost that is asked once? Run `python benchmarks/speed/output_cache.py`; writes `benchmarks/speed/output_cache.csv`.

One training step of a student at the paper's size (300 frames of 1152, cells of 1024 in two layers, 3,862 classes, batch
256, Adam included), from reading to the moved weights. Ours reads the teacher's encodings from shards; the peers are the
same step with the teacher live (`--cache-budget 0`), and what one writes first: `nn.LSTM` over all frames as teacher,
`nn.LSTM` as student, Adam as it comes. The limit is our step without any teacher. Precision is bf16 where the processor
multiplies it, else fp32; the naive loop is fp32.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from distillbench.config.layers import flags
from distillbench.config.resolve import specs
from distillbench.config.run_spec import RunSpec
from distillbench.data.batches import Batch, Reads, batches
from distillbench.interfaces import Clips, Encoding, LabelLoss, Learner, LossBatch, Output
from distillbench.networks import has_bf16
from distillbench.registry.discovery import discover
from distillbench.training import phase_starts
from distillbench.training.build import Experiment, assemble, key_of, open_data
from distillbench.training.objective import Objective
from distillbench.training.optimizer import Optimizer
from distillbench.training.output_cache import OutputCache
from measuring import Row, compared, interleaved, keep

CPU = torch.device("cpu")
DATA = (
    "videos=100",
    "rgb=1024",
    "audio=128",
    "classes=3862",
    "shortest=300",
    "longest=300",
    "shards=1",
)
TARGETS = {(6, "live"): 10.0, (6, "naive"): 25.0, (30, "live"): 3.0}
PEERS = {"live": "live teacher", "naive": "naive nn.LSTM loop"}
STEPS = {6: 3, 30: 1}
"""By k: how many of our steps make one run; a peer's is as long as several of them."""

Step = Callable[[], None]


def serial_student(k: int) -> dict[str, str | int]:
    """Returns the choices of a serial student of k frames of the paper, with a head of one product."""
    return {
        "data": "synthetic",
        "preset": "paper",
        "head": "logistic",
        "schedule": "serial",
        "k": k,
    }


def paper_size(k: int, batch: int) -> RunSpec:
    """Returns a serial student of k frames with the paper's settings, and a head of one product (62 M weights in all)."""
    precision = "bf16" if has_bf16(CPU) else "fp32"
    made = (f"data.{knob}" for knob in DATA)
    return specs(
        [
            flags(
                serial_student(k),
                [*made, f"training.batch_size={batch}", f"training.precision={precision}"],
            )
        ],
        discover(),
    )[0]


def endless(experiment: Experiment, views: Mapping[str, Reads]) -> Iterator[Batch]:
    """Reads batch after batch; a video may come more than once in one, which no step is faster for."""
    train, size = experiment.splits.train, experiment.spec.training.batch_size
    for epoch in itertools.count():
        order = torch.randint(
            len(train), (8 * size,), generator=torch.Generator().manual_seed(epoch)
        )
        yield from batches(train, order, size, views, epoch=epoch, device=experiment.device)


class ViewedNetwork:
    """A step that notes how much of its time it waited for frames."""

    def __init__(self, read: Iterator[Batch], train: Callable[[Batch], None]) -> None:
        self._read, self._train = read, train
        self.waited = self.taken = 0.0

    def __call__(self) -> None:
        """Reads a batch and trains on it."""
        began = time.perf_counter()
        batch = next(self._read)
        self.waited += time.perf_counter() - began
        self._train(batch)
        self.taken += time.perf_counter() - began


def training(experiment: Experiment, objective: Objective, optimizer: Optimizer) -> ViewedNetwork:
    """Returns our step of a phase, from reading to the moved weights."""
    return ViewedNetwork(
        endless(experiment, objective.views),
        lambda batch: optimizer.step(objective(batch, {}, 0.0), 0),
    )


def ours(experiment: Experiment, folder: Path) -> dict[str, ViewedNetwork]:
    """Returns our steps of one student, by where the teacher's output comes from; they move the same weights."""
    phase = experiment.spec.phases[1]
    phase_starts.set_modes(phase, experiment.models)
    student = experiment.models["student"]
    optimizer = Optimizer(
        phase_starts.learning_parameters(phase, experiment.models), [], experiment.spec.training
    )
    student.train()

    def stepping(objective: Objective) -> ViewedNetwork:
        return training(experiment, objective, optimizer)

    labels = tuple(term for term in phase.learners["student"].terms if term.teacher is None)
    alone = replace(phase, learners={"student": Learner(labels)})
    return {
        "stored": stepping(Objective(experiment, phase, OutputCache(folder))),
        "live": stepping(Objective(experiment, phase, OutputCache(folder, budget=0))),
        "none": stepping(Objective(experiment, alone, OutputCache(folder))),
    }


class Plain(nn.Module):
    """`nn.LSTM` over all frames it is given, and a head."""

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        self.lstm = nn.LSTM(experiment.splits.train.width, 1024, 2, batch_first=True)
        self.head = copy.deepcopy(experiment.models["student"].head)

    def forward(self, clips: Clips) -> Output:
        """Joins the last states of both layers, as the paper does."""
        _, (hidden, cell) = self.lstm(clips.frames)
        summary = torch.cat([cell[0], hidden[0], cell[1], hidden[1]], 1)
        return Output(Encoding(summary), self.head(summary))


def naive(experiment: Experiment, teacher: Plain, student: Plain) -> Step:
    """Returns the step of a loop that asks its teacher every time."""
    adam = torch.optim.Adam(student.parameters(), lr=1e-3)
    terms = experiment.spec.phases[1].learners["student"].terms
    codec = experiment.splits.train.codec
    read = endless(
        experiment,
        {
            "teacher": experiment.evaluation_views["teacher"],
            "student": experiment.view("student", training=True),
        },
    )

    def step() -> None:
        batch = next(read)
        with torch.no_grad():
            target = teacher(codec.decode(batch.clips["teacher"]))
        output = student(codec.decode(batch.clips["student"]))
        known = LossBatch(batch.labels, batch.videos)
        total = torch.zeros(())
        for term in terms:
            loss = experiment.losses[key_of("student", term)]
            value = (
                loss(output, known) if isinstance(loss, LabelLoss) else loss(output, target, known)
            )
            total = total + term.weight * value
        adam.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        adam.step()

    return step


def measured(batch: int, repeats: int, folder: Path) -> list[Row]:
    """Measures each pair of ours and a peer's in turn, next to one another, and returns a row for each."""
    rows: list[Row] = []
    plain: tuple[Plain, Plain] | None = None
    for k, in_a_row in STEPS.items():
        spec = paper_size(k, batch)
        experiment = assemble(spec, open_data(spec), CPU)
        plain = plain or (Plain(experiment), Plain(experiment))
        watched = ours(experiment, folder)
        watched["stored"]()  # the first step also makes Adam's state, and maps the shards
        watched["stored"].waited = watched["stored"].taken = 0.0
        steps: dict[str, Step] = {**watched, "naive": naive(experiment, *plain)}
        for peer, described in PEERS.items():
            runs = {name: repeated(steps[name], in_a_row) for name in ("stored", "none")} | {
                peer: steps[peer]
            }
            seconds = interleaved(runs, repeats, warm_up=0)
            rows.append(
                compared(
                    f"student's step at k = {k}, teacher asked once",
                    "videos/s",
                    in_a_row * batch / seconds["stored"],
                    peer=(described, batch / seconds[peer]),
                    limit=("no teacher", in_a_row * batch / seconds["none"]),
                    target=TARGETS.get((k, peer), float("nan")),
                    runs=repeats,
                )
            )
        share = 100 * watched["stored"].waited / watched["stored"].taken
        stage = f"student's step at k = {k}, share that waits for frames"
        rows.append(compared(stage, "%", share, peer=("allowed", 5.0), target=1.0, runs=repeats))
    return rows


def repeated(step: Step, times: int) -> Step:
    """Makes so many steps in a row, so that a short one is not measured by chance."""

    def steps() -> None:
        for _ in range(times):
            step()

    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        keep(
            measured(arguments.batch, arguments.repeats, Path(folder)),
            Path(__file__).with_suffix(".csv"),
        )


if __name__ == "__main__":
    main()
