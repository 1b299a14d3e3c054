"""A phase that mixes videos: who sees the mixtures, and that the run can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY
from running import declared, metrics_for
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from distillbench.config.run_spec import RunSpec
from distillbench.data.batches import Batch, batches
from distillbench.errors import NotApplicableError
from distillbench.interfaces import (
    LearnedSelector,
    Learner,
    NetworkSpec,
    Phase,
    Selection,
    Teacher,
    Term,
)
from distillbench.mixing import Mixup
from distillbench.registry.discovery import Component
from distillbench.training import phase_starts
from distillbench.training.build import Experiment, assemble, open_data
from distillbench.training.callbacks import Observer
from distillbench.training.checkpoint import Checkpoints
from distillbench.training.loop import fit
from distillbench.training.objective import Objective
from distillbench.training.output_cache import OutputCache
from distillbench.training.teacher_store import TeacherStore

CPU = torch.device("cpu")
SETTINGS = [*TINY, "training.precision=fp32", "training.threads=1", "head.dropout=0"]
NETWORKS = {"teacher": NetworkSpec("teacher"), "student": NetworkSpec("student")}
BEFORE = Phase("before", 0, {"teacher": Learner((Term("ce"),))})
TERMS = (Term("ce"), Term("rep", 0.5, Teacher("teacher")))
MIXED = Phase("mixed", 2, {"student": Learner(TERMS)}, mixup=0.4)


def spec_of(phase: Phase = MIXED, *assignments: str, **chosen: Any) -> RunSpec:
    return declared(NETWORKS, [BEFORE, phase], "student", [*SETTINGS, *assignments], **chosen)


def started(phase: Phase, folder: Path, **chosen: Any) -> tuple[Experiment, Objective, Batch]:
    """Starts a phase, and reads its first batch."""
    spec = spec_of(phase, **chosen)
    experiment = assemble(spec, open_data(spec), CPU)
    phase_starts.set_modes(phase, experiment.models)
    objective = Objective(experiment, phase, OutputCache(folder))
    order = torch.randperm(64, generator=torch.Generator().manual_seed(3))
    read = batches(
        experiment.splits.train, order, 16, objective.views, epoch=1, mixup=objective.mixup
    )
    return experiment, objective, next(iter(read))


def test_learner_and_teacher_see_the_same_mixtures_and_the_labels_are_mixed_alike(tmp_path) -> None:
    experiment, objective, batch = started(MIXED, tmp_path)
    mixing = Mixup(0.4, experiment.spec.seed, "mixed").drawn(batch.videos, 1)
    labels = experiment.splits.train.labels.dense(batch.videos)
    partners = labels[mixing.partners]
    torch.testing.assert_close(batch.labels, mixing.share * labels + (1 - mixing.share) * partners)

    def output(network: str, clips: str) -> Any:
        model = experiment.models[network]
        decoded = mixing.clips(model.codec.decode(batch.clips[clips]))
        encoding = model.encoder(decoded)
        return encoding.summary, model.head(encoding.summary)

    ours, logits = output("student", "student")
    theirs, _ = output("teacher", "teacher in evaluation")
    by_hand = binary_cross_entropy_with_logits(logits, batch.labels, reduction="sum") / 16
    by_hand = by_hand + 0.5 * (ours - theirs).square().sum(1).mean()
    torch.testing.assert_close(objective(batch, {}, 0.0), by_hand, rtol=1e-5, atol=1e-6)


def test_cached_outputs_of_a_teacher_are_not_used_for_mixed_videos(tmp_path) -> None:
    _, plain, _ = started(replace(MIXED, mixup=0.0), tmp_path)
    assert set(plain.views) == {"student"}
    assert list(tmp_path.rglob("*.safetensors")), "they are there to be used by mistake"
    _, mixed, _ = started(MIXED, tmp_path)
    assert set(mixed.views) == {"student", "teacher in evaluation"}
    _, constant, _ = started(replace(MIXED, epochs=0), tmp_path)
    assert set(constant.views) == {"student", "teacher in evaluation"}


def trained(spec: RunSpec, folder: Path, observer: Observer, minutes: float) -> dict[str, Tensor]:
    experiment = assemble(spec, open_data(spec), CPU)
    checkpoints = Checkpoints(folder / "checkpoint.safetensors", spec.key, minutes)
    store = TeacherStore(folder / "teachers")
    fit(experiment, metrics_for(experiment), store, checkpoints, observer)
    return experiment.models["student"].state_dict()


class Killed(Exception):  # noqa: N818 - it stands for a signal, not an error
    """Stands for kill -9."""


class KillAfter(Observer):
    def __init__(self, steps: int) -> None:
        self.left = steps

    def step_ended(self) -> None:
        self.left -= 1
        if not self.left:
            raise Killed


@pytest.mark.parametrize("steps", [2, 6])
def test_a_killed_run_mixes_on_as_if_it_had_not_been_killed(tmp_path, steps) -> None:
    whole = trained(spec_of(), tmp_path / "whole", Observer(), 5.0)
    with pytest.raises(Killed):
        trained(spec_of(), tmp_path / "killed", KillAfter(steps), 0.0)
    assert equal(trained(spec_of(), tmp_path / "killed", Observer(), 5.0), whole)


def test_mixing_changes_what_is_learned(tmp_path) -> None:
    mixed = trained(spec_of(), tmp_path / "mixed", Observer(), 5.0)
    plain = trained(spec_of(replace(MIXED, mixup=0.0)), tmp_path / "plain", Observer(), 5.0)
    assert not equal(mixed, plain)


def equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_loss_that_needs_labels_of_0_and_1_is_refused() -> None:
    phase = replace(MIXED, learners={"student": Learner((Term("ce"), Term("nkd", 1.0, "teacher")))})
    said = "phase 'mixed' mixes videos, and the loss 'nkd' needs labels that are 0 or 1"
    assert said in spec_of(phase).conflicts
    assert said not in spec_of(replace(phase, mixup=0.0)).conflicts


class Halves(LearnedSelector):
    """Keeps the first half of the frames."""

    def __init__(self, width: int, k: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def candidates(self, lengths: Tensor) -> Tensor:
        return torch.arange(4).expand(len(lengths), -1)

    def forward(self, candidates: Any, generator: Any) -> Selection:
        index = torch.arange(2).expand(len(candidates.lengths), -1)
        return Selection(index, self.weight.expand(len(index), 2))


def test_a_learned_selector_is_refused_where_videos_are_mixed() -> None:
    halves = Component("learned-selector", "halves", Halves, "tests", "1")
    spec = spec_of(components=[halves], selector="halves")
    with pytest.raises(NotApplicableError) as caught:
        assemble(spec, open_data(spec), CPU)
    assert (
        "phase 'mixed' mixes videos, and the student's selector 'halves' is learned as a part of it"
        in str(caught.value)
    )


def test_a_run_that_mixes_nothing_keeps_its_key() -> None:
    described = spec_of(replace(MIXED, mixup=0.0)).describe()
    assert all("mixup" not in phase for phase in described["phases"])
    assert all("width_of" not in network for network in described["networks"].values())
    assert spec_of().describe()["phases"][1]["mixup"] == 0.4
    assert spec_of().key != spec_of(replace(MIXED, mixup=0.0)).key
