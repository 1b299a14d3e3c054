"""What a network costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from distillbench.config.run_spec import RunSpec
from distillbench.evaluation.cost import cost_of
from distillbench.evaluation.latency import measure
from distillbench.interfaces import Clips, Codec, Encoder, Encoding
from distillbench.networks import Model
from distillbench.training.build import assemble, open_data
from distillbench_plugins.heads.logistic import Logistic

CPU = torch.device("cpu")


def test_macs_are_those_of_the_matrix_products(make_spec: Callable[..., RunSpec]) -> None:
    spec = make_spec("student.cell_size=16", schedule="scratch", k=4)
    parts = assemble(spec, open_data(spec), CPU)
    cost = cost_of(
        parts.models["student"], parts.splits.test, parts.evaluation_views["student"], CPU
    )
    width, cell, frames, blocks = 64, 16, 4, 2  # k = 4: blocks of 3 and 1
    lower = frames * ((width + cell) * 4 * cell + 2 * cell * 4 * cell)
    higher = blocks * ((4 * cell + cell) * 4 * cell + 2 * cell * 4 * cell)
    assert cost.encoder_macs == lower + higher
    assert cost.head_macs == 4 * cell * 10 * (3 + 2)  # gates with a dummy, and experts
    assert cost.macs == lower + higher + cost.head_macs
    assert cost.published_macs == frames * (
        (width + cell) * 4 * cell + 2 * cell * 4 * cell + 2 * 15 * cell
    )
    assert cost.parameters == sum(p.numel() for p in parts.models["student"].parameters())


def test_nn_lstm_is_counted_too(make_spec: Callable[..., RunSpec]) -> None:
    spec = make_spec(schedule="scratch")
    parts = assemble(spec, open_data(spec), CPU)
    model = Model(_PlainLSTM(64), Logistic(32, 10), Codec())
    cost = cost_of(model, parts.splits.test, parts.evaluation_views["student"], CPU)
    assert cost.encoder_macs == 4 * (64 + 32) * 4 * 32


def test_an_encoder_that_cannot_be_counted_says_why_and_the_run_goes_on(
    make_spec: Callable[..., RunSpec],
) -> None:
    spec = make_spec(schedule="scratch")
    parts = assemble(spec, open_data(spec), CPU)
    model = Model(_Uncountable(64), Logistic(64, 10), Codec())
    cost = cost_of(model, parts.splits.test, parts.evaluation_views["student"], CPU)
    assert cost.macs is None
    assert "meta" in cost.uncounted


def test_memory_grows_with_the_batch_and_holds_the_weights(
    make_spec: Callable[..., RunSpec],
) -> None:
    spec = make_spec(schedule="scratch")
    parts = assemble(spec, open_data(spec), CPU)
    model, view = parts.models["student"], parts.evaluation_views["student"]
    small, large = (
        cost_of(model, parts.splits.test, view, CPU, batch).peak_memory for batch in (1, 32)
    )
    assert 4 * sum(p.numel() for p in model.parameters()) < small < large


def test_latency_is_of_the_student_alone(make_spec: Callable[..., RunSpec]) -> None:
    spec = make_spec(schedule="serial")
    parts = assemble(spec, open_data(spec), CPU)
    asked = []
    parts.models["teacher"].register_forward_hook(lambda *_: asked.append(1))
    latency = measure(
        parts.models["student"], parts.splits.test, parts.evaluation_views["student"], CPU, 2
    )
    assert not asked
    assert 0 < latency.median <= latency.p95
    assert latency.throughput == pytest.approx(2 / latency.median)


class _PlainLSTM(Encoder):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(width, 32, batch_first=True)

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        return Encoding(self.lstm(clips.frames)[0][:, -1])


class _Uncountable(Encoder):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(width))

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        return Encoding(clips.frames.mean(1) * self.scale * float(clips.frames.sum() > 0))
