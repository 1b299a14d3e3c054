"""What is a GPU used for? Run `python benchmarks/speed/gpu.py`; writes `benchmarks/speed/gpu.csv`, in ten minutes at most.

Everything is of the paper's size: 1,152 numbers a frame, cells of 1024 in two layers, 3,862 classes, 256 videos a batch; a
teacher of 300 frames, students of 30 and of 6. The peer of an LSTM, of a training step and of an evaluation is the same
network of `nn.LSTM`s, which is cuDNN's there. The limit is the time of the matrix products at the rate that `torch.mm` reaches
on a square of 8192, fp32 without TF32 as torch has it (three times those of a forward pass for a step); a step with a cached teacher is held against one without
any, and the loader against copies of one batch in pinned memory. Contenders take turns, and a run ends when the device is done.

A row is written as soon as it was measured. A stage that fails, or that is not begun within nine minutes, is named at the end,
and the rest goes on; the ones that could break most come last. `--device cpu --tiny` runs the same code in seconds, at a size
that says nothing of speed.
"""

from __future__ import annotations

import argparse
import copy
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from distillbench.config.layers import flags
from distillbench.config.resolve import specs
from distillbench.data.batches import batches
from distillbench.evaluation.cost import count_macs
from distillbench.evaluation.evaluate import evaluate
from distillbench.evaluation.metric_set import metrics_of
from distillbench.networks import Precision, evaluating, has_bf16
from distillbench.registry.discovery import Registry, discover
from distillbench.training import phase_starts
from distillbench.training.build import Experiment, assemble, open_data
from distillbench.training.objective import Objective
from distillbench.training.optimizer import Optimizer
from distillbench.training.output_cache import OutputCache
from distillbench_plugins.layers.lstm import LSTM
from inference import Plain
from measuring import Row, compared, interleaved, show, write
from output_cache import endless, ours, serial_student, training

MINUTES = 9.0
"""After these no stage is begun."""


@dataclass(frozen=True)
class Size:
    """How large everything is. gemm: rows of the square matrices that are multiplied."""

    videos: int = 700
    batch: int = 256
    frames: int = 300
    ks: tuple[int, int] = (30, 6)
    rgb: int = 1024
    audio: int = 128
    cell: int = 1024
    classes: int = 3862
    gemm: int = 8192
    repeats: int = 10

    @property
    def width(self) -> int:
        """Numbers a frame."""
        return self.rgb + self.audio

    def block(self, frames: int) -> int:
        """Returns the frames of a block, as the paper has them."""
        return 20 if frames == self.frames else 5 if frames % 5 == 0 else 3


TINY = Size(40, 4, 20, (10, 6), 6, 2, 4, 5, 16, 1)


@dataclass
class Bench:
    """What all stages share.

    rates: multiply-accumulates a second of `torch.mm`, by precision.
    """

    device: torch.device
    size: Size
    folder: Path
    rates: dict[str, float] = field(default_factory=dict)
    registry: Registry = field(default_factory=discover)

    @property
    def name(self) -> str:
        """What the device calls itself."""
        return torch.cuda.get_device_name(self.device) if self.is_gpu else "cpu"

    @property
    def is_gpu(self) -> bool:
        """Whether there is anything to wait for."""
        return self.device.type == "cuda"

    @property
    def precisions(self) -> list[Precision]:
        """Those that the device multiplies in hardware."""
        return ["fp32", "bf16"] if has_bf16(self.device) else ["fp32"]

    def autocast(self, precision: str) -> torch.autocast:
        """Returns the context in which products are computed in a precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bf16")

    def timed(self, runs: dict[str, Callable[[], object]]) -> dict[str, float]:
        """Returns the median seconds of each, until the device is done."""

        def waited_for(run: Callable[[], object]) -> None:
            run()
            if self.is_gpu:
                torch.cuda.synchronize(self.device)

        waiting = {name: partial(waited_for, run) for name, run in runs.items()}
        return interleaved(waiting, self.size.repeats, warm_up=2)

    def row(
        self,
        stage: str,
        unit: str,
        seconds: dict[str, float],
        names: tuple[str, str],
        *,
        of: float = 1.0,
        limit: tuple[str, float] | None = None,
    ) -> Row:
        """Makes a row of one contender against another, in ms or in so many (`of`) a second.

        names: of ours and of the peer. limit: what it is, and its seconds.
        """

        def shown(taken: float) -> float:
            return of / taken if unit.endswith("/s") else 1e3 * taken

        mine, peer = names
        return compared(
            stage,
            unit,
            shown(seconds[mine]),
            peer=(peer, shown(seconds[peer])),
            limit=None if limit is None else (limit[0], shown(limit[1])),
            runs=self.size.repeats,
            device=self.name,
        )

    def products(self, macs: float, precision: str) -> tuple[str, float] | None:
        """Returns the seconds of the products alone, if it is known how fast they are."""
        rate = self.rates.get(precision)
        return None if rate is None else ("products at torch.mm's rate", macs / rate)

    def experiment(self, k: int, precision: str) -> Experiment:
        """Builds a teacher of all frames and a student of k, with a head of one product."""
        size = self.size
        knobs = {
            "data.videos": size.videos,
            "data.rgb": size.rgb,
            "data.audio": size.audio,
            "data.classes": size.classes,
            "data.shortest": size.frames,
            "data.longest": size.frames,
            "data.shards": 1,
            "teacher.cell_size": size.cell,
            "student.cell_size": size.cell,
            "training.batch_size": size.batch,
            "training.precision": precision,
        }
        layer = flags(serial_student(k), [f"{name}={value}" for name, value in knobs.items()])
        (spec,) = specs([layer], self.registry)
        return assemble(spec, open_data(spec), self.device)

    def plain(self, experiment: Experiment, network: str) -> Plain:
        """Builds the same network of `nn.LSTM`s."""
        frames = self.size.frames if network == "teacher" else experiment.spec.k
        head = copy.deepcopy(experiment.models[network].head)
        made = Plain(self.size.block(frames), head, width=self.size.width, cell=self.size.cell)
        return made.to(self.device)


def multiplying(bench: Bench) -> list[Row]:
    """Measures the device's matrix product, which all limits are of."""
    side = bench.size.gemm
    rows = []
    for precision in bench.precisions:
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        a, b = (torch.randn(side, side, device=bench.device, dtype=dtype) for _ in range(2))
        seconds = bench.timed({"mm": partial(torch.mm, a, b)})["mm"]
        bench.rates[precision] = side**3 / seconds
        rows.append(
            compared(
                f"torch.mm, a square of {side}, {precision}",
                "TFLOP/s",
                2e-12 * bench.rates[precision],
                runs=bench.size.repeats,
                device=bench.name,
            )
        )
    return rows


def recurrent(bench: Bench, frames: int, *, as_graph: bool) -> list[Row]:
    """Measures the lower LSTM over a batch's blocks, kernel by kernel or as one CUDA graph."""
    size, steps = bench.size, bench.size.block(frames)
    rows_of_step = size.batch * frames // steps
    packed = torch.randn(steps * rows_of_step, size.width, device=bench.device)
    lstms = {
        "ours": LSTM(size.width, size.cell, 2).to(bench.device),
        "nn.LSTM": nn.LSTM(size.width, size.cell, 2).to(bench.device),
    }
    passes: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: lstms["ours"](packed, [rows_of_step] * steps)[-1].hidden[-rows_of_step:],
        "nn.LSTM": lambda: lstms["nn.LSTM"](packed.view(steps, rows_of_step, -1))[0][-1],
    }

    def trained(name: str, precision: str) -> None:
        with bench.autocast(precision):
            value = passes[name]().float().sum()
        # Not `backward`: what it leaves behind in `grad` must not lie in a graph's memory.
        torch.autograd.grad(value, list(lstms[name].parameters()))

    @torch.no_grad()
    def inferred(name: str, precision: str) -> None:
        with bench.autocast(precision):
            passes[name]()

    macs = (len(packed) * (size.width + size.cell) * 4 + 8 * len(packed) * size.cell) * size.cell
    macs -= 2 * rows_of_step * 4 * size.cell**2  # no product with the zero state
    rows = []
    for precision in bench.precisions:
        for mode, run, times in (("training", trained, 3), ("inference", inferred, 1)):
            runs: dict[str, Callable[[], object]] = {
                name: partial(run, name, precision) for name in lstms
            }
            if as_graph:
                runs["ours"] = captured(runs["ours"])
            rows.append(
                bench.row(
                    f"LSTM {mode} {precision}, {frames} frames in blocks of {steps}"
                    + ", as a CUDA graph" * as_graph,
                    "ms",
                    bench.timed(runs),
                    ("ours", "nn.LSTM"),
                    limit=bench.products(times * macs, precision),
                )
            )
    return rows


def captured(run: Callable[[], object]) -> Callable[[], object]:
    """Returns what replays a run as one CUDA graph."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def teacher_steps(bench: Bench, precision: Precision) -> list[Row]:
    """Measures a training step of the teacher, from reading to the moved weights."""
    experiment = bench.experiment(bench.size.ks[0], precision)
    phase = experiment.spec.phases[0]
    phase_starts.set_modes(phase, experiment.models)
    moved = phase_starts.learning_parameters(phase, experiment.models)
    objective = Objective(experiment, phase, OutputCache(bench.folder))
    runs: dict[str, Callable[[], object]] = {
        "ours": training(experiment, objective, Optimizer(moved, [], experiment.spec.training)),
        "nn.LSTM": plain_step(bench, experiment, "teacher"),
    }
    return [step_row(bench, experiment, "teacher", precision, bench.timed(runs))]


def student_steps(bench: Bench, k: int, precision: Precision) -> list[Row]:
    """Measures a step of a student alone, and of one whose teacher is cached or live."""
    experiment = bench.experiment(k, precision)
    steps = ours(experiment, bench.folder)
    runs: dict[str, Callable[[], object]] = {
        "ours": steps["none"],
        "nn.LSTM": plain_step(bench, experiment, "student"),
        "teacher cached": steps["stored"],
        "live teacher": steps["live"],
    }
    seconds = bench.timed(runs)
    return [
        step_row(bench, experiment, "student", precision, seconds),
        bench.row(
            f"step of a student of {k}, {precision}, teacher cached",
            "videos/s",
            seconds,
            ("teacher cached", "live teacher"),
            of=bench.size.batch,
            limit=("no teacher", seconds["ours"]),
        ),
    ]


def step_row(
    bench: Bench, experiment: Experiment, network: str, precision: str, seconds: dict[str, float]
) -> Row:
    """Makes the row of a step of one network alone."""
    frames = bench.size.frames if network == "teacher" else experiment.spec.k
    return bench.row(
        f"step of a {network} of {frames}, {precision}",
        "videos/s",
        seconds,
        ("ours", "nn.LSTM"),
        of=bench.size.batch,
        limit=bench.products(3 * bench.size.batch * macs_of(experiment, network), precision),
    )


def macs_of(experiment: Experiment, network: str) -> int:
    """Returns what one video costs a network forwards."""
    view = experiment.evaluation_views[network]
    frames = view.slots
    encoder, head, why = count_macs(
        experiment.models[network], experiment.splits.train.width, frames, frames
    )
    assert encoder is not None, why
    assert head is not None, why
    return encoder + head


def plain_step(bench: Bench, experiment: Experiment, network: str) -> Callable[[], None]:
    """Returns the step of a loop as one writes it, with a network of `nn.LSTM`s."""
    plain = bench.plain(experiment, network)
    adam = torch.optim.Adam(plain.parameters(), lr=1e-3, fused=True)
    read = endless(experiment, {network: experiment.view(network, training=True)})

    def step() -> None:
        batch = next(read)
        with bench.autocast(experiment.precision):
            logits = plain(batch.clips[network].to(bench.device))
        labels = batch.labels.to(bench.device, non_blocking=True)
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), labels.float())
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        adam.step()

    return step


def loading(bench: Bench) -> list[Row]:
    """Measures how fast frames come to the device, from files in the memory of the system."""
    size, rows, several = bench.size, [], 4
    for frames in (*size.ks, size.frames):
        experiment = bench.experiment(min(frames, size.ks[0]), "fp32")
        network = "teacher" if frames == size.frames else "student"
        train, view = experiment.splits.train, experiment.view(network, training=True)
        chosen = torch.Generator().manual_seed(0)
        order = torch.randint(len(train), (several * size.batch,), generator=chosen)

        def through(memory: torch.device, train=train, view=view, order=order) -> None:  # type: ignore[no-untyped-def]
            for batch in batches(train, order, size.batch, {"": view}, device=memory):
                batch.clips[""].to(bench.device)

        still = torch.zeros(
            size.batch, frames, size.width, dtype=torch.uint8, pin_memory=bench.is_gpu
        )

        def copied(still: Tensor = still) -> None:
            for _ in range(several):
                still.to(bench.device, non_blocking=True, copy=True)

        seconds = bench.timed(
            {
                "ours": partial(through, bench.device),
                "pageable memory": partial(through, torch.device("cpu")),
                "copies": copied,
            }
        )
        rows.append(
            bench.row(
                f"frames to the device, {frames} of a video",
                "videos/s",
                seconds,
                ("ours", "pageable memory"),
                of=len(order),
                limit=("copies of one pinned batch", seconds["copies"]),
            )
        )
    return rows


def scoring(bench: Bench, k: int, network: str, precision: Precision) -> list[Row]:
    """Measures the evaluation of a network on a split, metrics included."""
    experiment = bench.experiment(k, precision)
    videos, view = experiment.splits.train, experiment.evaluation_views[network]
    metrics = metrics_of(experiment.spec.data.component, bench.registry)
    model, plain = experiment.models[network], bench.plain(experiment, network)
    size = bench.size.batch

    def evaluated() -> None:
        evaluate(model, videos, view, size, bench.device, metrics, metrics.each_epoch, warn=print)

    def scored() -> None:
        everything = torch.arange(len(videos))
        with evaluating(plain), torch.inference_mode(), bench.autocast(precision):
            for batch in batches(videos, everything, size, {"": view}, device=bench.device):
                plain(batch.clips[""].to(bench.device)).cpu()

    frames = bench.size.frames if network == "teacher" else k
    return [
        bench.row(
            f"evaluation of a {network} of {frames}, {precision}",
            "videos/s",
            bench.timed({"ours": evaluated, "nn.LSTM": scored}),
            ("ours", "nn.LSTM"),
            of=len(videos),
            limit=bench.products(len(videos) * macs_of(experiment, network), precision),
        )
    ]


def stages(bench: Bench) -> Iterator[tuple[str, Callable[[], list[Row]]]]:
    """Lists what is measured, in order; what could break most comes last."""
    size, precisions = bench.size, bench.precisions
    lengths = (size.frames, *size.ks)
    yield "matrix products", partial(multiplying, bench)
    for frames in lengths:
        yield f"LSTM, {frames} frames", partial(recurrent, bench, frames, as_graph=False)
    yield "loader", partial(loading, bench)
    for precision in precisions:
        yield f"teacher's step, {precision}", partial(teacher_steps, bench, precision)
        for k in size.ks:
            name = f"step of a student of {k}, {precision}"
            yield name, partial(student_steps, bench, k, precision)
    for precision in precisions:
        for k, network in ((size.ks[0], "teacher"), *((k, "student") for k in size.ks)):
            name = f"evaluation, {network}, k = {k}, {precision}"
            yield name, partial(scoring, bench, k, network, precision)
    if bench.is_gpu:
        for frames in reversed(lengths):
            name = f"LSTM as a CUDA graph, {frames} frames"
            yield name, partial(recurrent, bench, frames, as_graph=True)


def measured(bench: Bench, path: Path, minutes: float) -> list[str]:
    """Measures every stage and writes its rows; returns what is missing, and why."""
    began, rows, missing = time.perf_counter(), list[Row](), list[str]()
    for name, stage in stages(bench):
        if time.perf_counter() - began > 60 * minutes:
            missing.append(f"{name}: {minutes:g} minutes were over")
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            rows += stage()
        # Whatever a device does not do is one stage's misfortune.
        except Exception as error:
            missing.append(f"{name}: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
        if bench.is_gpu:
            # Networks may lie in circles of references, and the next stage needs their memory.
            gc.collect()
            torch.cuda.empty_cache()
        write(rows, path)
    show_device(bench)
    show(rows)
    return missing


def show_device(bench: Bench) -> None:
    """Prints what the rows are of."""
    print(f"{bench.name}, torch {torch.__version__}", end="")
    if bench.is_gpu:
        found = torch.cuda.get_device_properties(bench.device)
        print(
            f", CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}, "  # type: ignore[no-untyped-call]
            f"compute capability {found.major}.{found.minor}, "
            f"{found.total_memory / 2**30:.0f} GiB",
            end="",
        )
    print()


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 2 where there is no GPU, 1 where something is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--tiny", action="store_true", help="at the size of a test")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="no stage begins later")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_suffix(".csv"))
    chosen = parser.parse_args(arguments)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        print("no GPU that torch can use was found, and this measures one", file=sys.stderr)
        return 2
    torch.manual_seed(0)
    device = torch.device(chosen.device, 0) if chosen.device == "cuda" else torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(device, TINY if chosen.tiny else Size(), Path(folder))
        missing = measured(bench, chosen.csv, chosen.minutes)
    for line in missing:
        print(f"missing: {line}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
