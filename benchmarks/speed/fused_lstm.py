"""Would torch's own LSTM make small runs faster? Run `python benchmarks/speed/fused_lstm.py`; writes `benchmarks/speed/fused_lstm.csv`.

torch's LSTM runs all steps of a layer as one kernel of oneDNN and returns the cell states of the last step alone, which is all that a
network needs whose states after every frame nobody reads. A row is one step of training on `digits` as its recipe has it (cells of 64,
64 videos; reading apart), or one evaluation of its 500 validation videos: ours, which keeps every state, against the same network
with the fused kernel in its place. Then the encoder alone, at larger cells. Contenders take turns on one thread; the fastest run of
each is kept, in time of the processor, since machines are busy.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from distillbench.config.layers import flags
from distillbench.config.resolve import specs
from distillbench.data.batches import batches
from distillbench.evaluation.evaluate import evaluate
from distillbench.evaluation.metric_set import metrics_of
from distillbench.interfaces import Clips, Encoding
from distillbench.registry.discovery import Registry, discover
from distillbench.training import phase_starts
from distillbench.training.build import Experiment, assemble, open_data
from distillbench.training.objective import Objective
from distillbench.training.optimizer import Optimizer
from distillbench.training.output_cache import OutputCache
from distillbench_plugins.layers.hierarchical import HierarchicalLSTM, Settings, joined
from distillbench_plugins.layers.lstm import LSTM
from distillbench_plugins.layers.states import States
from measuring import Row, compared, keep

CPU = torch.device("cpu")
STEPS = 8  # batches that are read beforehand
ENCODERS = {  # width, cell, videos, frames, block, repeats
    "cells of 256, 30 frames": (256, 256, 128, 30, 5, 10),
    "cells of 1024, 6 frames": (1152, 1024, 256, 6, 3, 3),
}


class Fused(HierarchicalLSTM):
    """The same network, for blocks and videos that are all as long as one another."""

    def forward(self, clips: Clips, block_length: int, with_states: bool) -> Encoding:
        """Encodes clips, and returns no states."""
        if with_states:
            return super().forward(clips, block_length, with_states)
        videos, slots, width = clips.frames.shape
        blocks = clips.frames.reshape(videos, -1, block_length, width)
        by_step = blocks.permute(2, 0, 1, 3).flatten(1, 2)
        codes = joined(last_states(self.lower, by_step), self.settings.state)
        sequences = codes.view(videos, slots // block_length, -1).transpose(0, 1)
        return Encoding(joined(last_states(self.higher, sequences), self.settings.state))


def last_states(lstm: LSTM, inputs: Tensor) -> list[States]:
    """Runs sequences (T, Q, D) through every layer; returns the states (Q, H) of the last step."""
    states = []
    zero = inputs.new_zeros(1, inputs.shape[1], lstm.cell_size)
    for layer in range(lstm.layers):
        weight_ih, weight_hh, bias = lstm.weights(layer)
        weights = [weight_ih, weight_hh, bias, torch.zeros_like(bias)]
        inputs, hidden, cell = torch._VF.lstm(
            inputs, (zero, zero), weights, True, 1, 0.0, lstm.training, False, False
        )
        states.append(States(cell[0], hidden[0]))
    return states


def turns(
    run: Callable[[int], object], networks: list[HierarchicalLSTM], repeats: int
) -> Mapping[str, float]:
    """Runs with each of the two kernels in turn; returns the least seconds of each."""
    least: dict[str, float] = {}
    for repeat in range(repeats + 1):
        for name, kind in (("ours", HierarchicalLSTM), ("fused", Fused)):
            for network in networks:
                network.__class__ = kind
            began = time.process_time()
            run(repeat)
            taken = time.process_time() - began
            if repeat:  # the first one also pays for set-up
                least[name] = min(taken, least.get(name, taken))
    for network in networks:
        network.__class__ = HierarchicalLSTM
    return least


def row(stage: str, least: Mapping[str, float], repeats: int) -> Row:
    """Makes a row of ours against the fused kernel."""
    peer = ("torch's fused LSTM", 1e3 * least["fused"])
    return compared(stage, "ms", 1e3 * least["ours"], peer=peer, runs=repeats)


def digits(k: int, registry: Registry) -> Experiment:
    """Builds a student of k frames and its teacher, as the recipe has them."""
    chosen = {"data": "digits", "schedule": "serial", "k": k}
    (spec,) = specs([flags(chosen, [])], registry)
    return assemble(spec, open_data(spec), CPU)


def kernels(experiment: Experiment) -> list[HierarchicalLSTM]:
    """Returns the recurrent parts of all networks."""
    return [
        module
        for model in experiment.models.values()
        for module in model.modules()
        if isinstance(module, HierarchicalLSTM)
    ]


def steps(experiment: Experiment, number: int, folder: Path) -> Callable[[int], None]:
    """Returns the step of a phase, on batches that are read already."""
    phase = experiment.spec.phases[number]
    phase_starts.set_modes(phase, experiment.models)
    objective = Objective(experiment, phase, OutputCache(folder))
    moved = phase_starts.learning_parameters(phase, experiment.models)
    optimizer = Optimizer(moved, [], experiment.spec.training)
    size = experiment.spec.training.batch_size
    order = torch.arange(STEPS * size)
    read = list(batches(experiment.splits.train, order, size, objective.views))
    return lambda repeat: optimizer.step(objective(read[repeat % STEPS], {}, 0.0), 0)


def of_digits(folder: Path, repeats: int) -> Iterator[Row]:
    """Measures a run on `digits`: its steps and its evaluations."""
    registry = discover()
    for network, k in (("teacher", 6), ("student", 6), ("student", 15), ("student", 30)):
        experiment = digits(k, registry)
        title = "teacher of 60" if network == "teacher" else f"student of {k}"
        step = steps(experiment, int(network == "student"), folder)
        least = turns(step, kernels(experiment), 20 * repeats)
        yield row(f"digits, step of a {title}", least, 20 * repeats)
        least = turns(evaluation(experiment, network, registry), kernels(experiment), repeats)
        yield row(f"digits, evaluation of a {title}", least, repeats)


def evaluation(experiment: Experiment, network: str, registry: Registry) -> Callable[[int], object]:
    """Returns the evaluation of a network on the validation videos."""
    metrics = metrics_of(experiment.spec.data.component, registry)
    return lambda _: evaluate(
        experiment.models[network],
        experiment.splits.validation,
        experiment.evaluation_views[network],
        experiment.spec.training.batch_size,
        CPU,
        metrics,
        metrics.each_epoch,
        warn=print,
    )


def of_encoders() -> Iterator[Row]:
    """Measures the encoder alone at larger cells."""
    for name, (width, cell, videos, frames, block, repeats) in ENCODERS.items():
        network = HierarchicalLSTM(width, Settings(cell_size=cell))
        times = torch.arange(frames).expand(videos, -1)
        clips = Clips(
            torch.randn(videos, frames, width), torch.full((videos,), frames), times, frames
        )

        def trained(
            _: int, network: nn.Module = network, clips: Clips = clips, block: int = block
        ) -> None:
            summary = network.train()(clips, block, False).summary
            torch.autograd.grad(summary.square().sum(), list(network.parameters()))

        @torch.inference_mode()
        def inferred(
            _: int, network: nn.Module = network, clips: Clips = clips, block: int = block
        ) -> None:
            network.eval()(clips, block, False)

        for mode, run in (("training", trained), ("inference", inferred)):
            yield row(f"encoder, {mode}, {name}", turns(run, [network], repeats), repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--repeats", type=int, default=10, help="evaluations; 20 times as many steps"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        rows = [*of_digits(Path(folder), arguments.repeats), *of_encoders()]
    keep(rows, Path(__file__).with_suffix(".csv"))


if __name__ == "__main__":
    main()
