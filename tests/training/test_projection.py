"""A network that takes the width of another one: the projection is a part of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY
from running import declared, run_experiment
from torch import nn

from distillbench.config.run_spec import RunSpec
from distillbench.evaluation.cost import cost_of
from distillbench.evaluation.quantization import quantized
from distillbench.experiments.context import RunContext
from distillbench.experiments.network_description import network_from
from distillbench.interfaces import (
    Clips,
    Copy,
    EarlyExit,
    Encoder,
    Encoding,
    Freeze,
    Init,
    Learner,
    NetworkSpec,
    Phase,
    Term,
)
from distillbench.networks import projected
from distillbench.storage import load_tensors
from distillbench.training.build import Experiment, assemble, build_network, open_data

CPU = torch.device("cpu")
WIDTHS = ["teacher.cell_size=8", "student.cell_size=5"]
"""Encodings of 4 * 8 and of 4 * 5 numbers."""
TAUGHT = Learner((Term("rep", 1.0, "teacher"),), Init(head=Freeze("teacher")))
PHASES = [Phase("teacher", 1, {"teacher": Learner((Term("ce"),))})]


def spec_of(width_of: str | None = "teacher", learner: Learner = TAUGHT, **more: Any) -> RunSpec:
    networks = {
        "teacher": NetworkSpec("teacher"),
        "student": NetworkSpec("student", width_of=width_of),
    }
    phases = [*PHASES, Phase("student", 1, {"student": learner})]
    return declared(networks, phases, "student", [*TINY, *WIDTHS, "training.epochs=1"], **more)


def experiment_of(**more: Any) -> Experiment:
    spec = spec_of(**more)
    return assemble(spec, open_data(spec), CPU)


def test_the_encoding_has_the_width_of_the_other_network() -> None:
    experiment = experiment_of()
    assert experiment.shapes["student"].summary == experiment.shapes["teacher"].summary == 32
    model = experiment.models["student"]
    assert model.encoder.projection.weight.shape == (32, 20)  # type: ignore[union-attr]
    clips = Clips(torch.rand(3, 4, 64), torch.tensor([4, 4, 2]), torch.arange(4).expand(3, -1), 4)
    output = model.eval()(clips)
    inner = model.encoder.encoder(model.codec.decode(clips)).summary  # type: ignore[union-attr, operator]
    expected = model.encoder.projection(inner)  # type: ignore[operator, union-attr]
    torch.testing.assert_close(output.encoding.summary, expected)


def test_its_products_and_parameters_are_counted_with_the_networks_own() -> None:
    costs = {}
    for width_of in (None, "teacher"):
        spec = spec_of(width_of, Learner((Term("ce"),)))
        parts = assemble(spec, open_data(spec), CPU)
        view = parts.evaluation_views["student"]
        costs[width_of] = cost_of(parts.models["student"], parts.splits.test, view, CPU)
    plain, wider = costs[None], costs["teacher"]
    assert plain.encoder_macs is not None
    assert plain.head_macs is not None
    assert wider.encoder_macs == plain.encoder_macs + 20 * 32
    assert wider.head_macs == plain.head_macs // 20 * 32
    head = experiment_of().models["teacher"].head
    own = experiment_of(width_of=None, learner=Learner((Term("ce"),))).models["student"]
    of_encoder = sum(p.numel() for p in own.encoder.parameters())
    of_head = sum(p.numel() for p in head.parameters())
    assert wider.parameters == of_encoder + (20 * 32 + 32) + of_head
    assert wider.published_macs is None


def test_a_frozen_head_of_the_other_network_keeps_its_bits_and_the_row_is_stored(
    tmp_path: Path,
) -> None:
    result = run_experiment(spec_of(), RunContext(tmp_path, "cpu"))
    student, _ = load_tensors(result.student_path())
    (stored,) = (tmp_path / "teachers").glob("*.safetensors")
    teacher, _ = load_tensors(stored)
    heads = [name for name in student if name.startswith("head.")]
    assert heads
    assert all(torch.equal(student[name], teacher[f"teacher.{name}"]) for name in heads)
    assert "encoder.projection.weight" in student
    assert result.content["setup"]["networks"]["student"]["width_of"] == "teacher"


def test_it_is_drawn_anew_with_the_network_and_changes_no_other_draw() -> None:
    spec = spec_of()
    splits = open_data(spec)
    first, again, fresh = (
        build_network(spec, splits, "student", *purpose)[0].state_dict()
        for purpose in ((), (), ("phase",))
    )
    plain = build_network(spec_of(None, Learner((Term("ce"),))), splits, "student")[0].state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    weight = "encoder.projection.weight"
    assert not torch.equal(first[weight], fresh[weight])
    inner = {n.removeprefix("encoder."): t for n, t in plain.items() if n.startswith("encoder.")}
    assert all(torch.equal(first[f"encoder.encoder.{name}"], t) for name, t in inner.items())


def test_it_is_quantised_with_the_network() -> None:
    made = quantized(experiment_of().models["student"])
    assert not isinstance(made.encoder.projection, nn.Linear)
    clips = Clips(torch.rand(1, 4, 64), torch.tensor([4]), torch.arange(4)[None], 4)
    assert made(clips).encoding.summary.shape == (1, 32)


def test_an_exported_network_has_it(command: Any, tmp_path: Path) -> None:
    tiny = [word for setting in (*TINY, *WIDTHS) for word in ("--set", setting)]
    flags = ["--k", "4", *tiny, "--schedule", "simkd", "--loss", "rep", "--results", tmp_path]
    assert command("run", *flags)[0] == 0
    (result,) = tmp_path.glob("*.json")
    out = tmp_path / "network.safetensors"
    code, _, err = command("export", result, "--to", "safetensors-bundle", "--out", out)
    assert code == 0, err
    _, about = load_tensors(out)
    found = about if "projected_to" in about else next(iter(about.values()))
    assert found["projected_to"] == 32
    assert network_from(found).encoder.projection.weight.shape == (32, 20)  # type: ignore[union-attr]


class _Stops(Encoder):
    """The mean of the frames, which may stop after one or two."""

    exits = (1, 2)

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        early = tuple(clips.frames[:, :e].mean(1) for e in self.exits)
        return Encoding(clips.frames.mean(1), exits=early)

    def up_to(self, clips: Clips, frames: int) -> Encoding:
        return Encoding(clips.frames[:, :frames].mean(1))


class _RunsToTheEnd(Encoder):
    """The mean of the frames."""

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        return Encoding(clips.frames.mean(1))


def test_an_encoder_that_may_stop_early_still_may() -> None:
    clips = Clips(torch.rand(2, 4, 3), torch.tensor([4, 4]), torch.arange(4).expand(2, -1), 4)
    made = projected(_Stops(), 3, 7)
    assert isinstance(made, EarlyExit)
    assert made.exits == (1, 2)
    encoding = made(clips)
    assert [summary.shape for summary in encoding.exits] == [(2, 7), (2, 7)]
    assert torch.equal(made.up_to(clips, 2).summary, encoding.exits[1])
    assert not isinstance(projected(_RunsToTheEnd(), 3, 7), EarlyExit)


@pytest.mark.parametrize("learner", [TAUGHT, Learner((Term("ce"),), Init(head=Copy("teacher")))])
def test_without_it_a_head_of_another_width_is_refused(learner: Learner) -> None:
    with pytest.raises(Exception, match="which reads encodings of 32 numbers; the student's have"):
        experiment_of(width_of=None, learner=learner)


def test_the_width_of_a_network_that_no_phase_uses_is_found() -> None:
    networks = {
        "other": NetworkSpec("teacher"),
        "student": NetworkSpec("student", width_of="other"),
    }
    phases = [Phase("student", 1, {"student": Learner((Term("ce"),))})]
    spec = declared(networks, phases, "student", [*TINY, *WIDTHS])
    experiment = assemble(spec, open_data(spec), CPU)
    assert experiment.shapes["student"].summary == 32
    assert "teacher" in spec.describe(), "its settings are part of the run's key"
