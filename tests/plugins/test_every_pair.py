"""Every loss with every schedule and every encoder: a finite run or a stated refusal, no third way."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch
from blobs import dataset
from running import installed

from distillbench.config.layers import flags
from distillbench.config.resolve import specs
from distillbench.config.run_spec import RunSpec
from distillbench.errors import ConfigError, NotApplicableError
from distillbench.evaluation.metric_set import metrics_of
from distillbench.interfaces import Splits
from distillbench.registry.discovery import Component, Registry
from distillbench.training.build import assemble
from distillbench.training.callbacks import SILENT
from distillbench.training.checkpoint import Checkpoints
from distillbench.training.loop import fit
from distillbench.training.teacher_store import TeacherStore

KINDS = ("multi-label", "single-label")
DATA = {kind: dataset(kind, sizes=(12, 4, 4)) for kind in KINDS}
SPLITS: dict[str, Splits] = {kind: cls().splits() for kind, cls in DATA.items()}
REGISTRY = Registry(
    [*installed(), *(Component("data", kind, cls, "tests", "1") for kind, cls in DATA.items())],
    [],
    installed().hooks,
)
LOSSES = sorted(c.name for c in installed() if c.kind in ("matching-loss", "label-loss"))
MATCHING = {c.name for c in installed() if c.kind == "matching-loss"}
# What reads a learned selector's choice needs one: of the policy whose reward it is, or a scorer.
SELECTED_BY = {
    c.name: "one-step-policy" if c.kind == "label-loss" else "scorer"
    for c in installed()
    if c.name in LOSSES and "selection" in c.cls.requirements.needs
}
SCHEDULES = sorted(installed().names("schedule"))
ENCODERS = sorted(installed().names("student"))


def spec_of(loss: str, schedule: str, encoder: str, kind: str) -> RunSpec:
    settings: dict[str, object] = {
        "data": kind,
        "student": encoder,
        "teacher": encoder,
        "schedule": schedule,
        "loss": loss,
        "head": "logistic",
        "selector": SELECTED_BY.get(loss.split(",")[0], "uniform"),
        "k": 3,
    }
    assignments = [f"training.{name}" for name in ("epochs=1", "batch_size=6", "threads=1")]
    for section in ("student", "teacher", "schedule"):
        component = REGISTRY.find(section, str(settings[section]))
        assert component
        sizes = getattr(component.cls, "check_knobs", {})
        assignments += [f"{section}.{name}={value}" for name, value in sizes.items()]
    (spec,) = specs([flags(settings, assignments)], REGISTRY)
    return spec


def attempt(loss: str, schedule: str, encoder: str, kind: str, folder: Path) -> str:
    """Trains two steps an epoch; returns the reason where that is refused, else nothing."""
    label = "softmax-ce" if kind == "single-label" else "ce"
    objective = f"{loss},{label}" if loss in MATCHING else loss
    try:
        spec = spec_of(objective, schedule, encoder, kind)
        experiment = assemble(spec, SPLITS[kind], torch.device("cpu"))
    except (ConfigError, NotApplicableError) as refusal:
        return str(refusal)
    metrics = metrics_of(spec.data.component, REGISTRY)
    teachers = TeacherStore(folder, cache_budget=0)
    fitted = fit(experiment, metrics, teachers, Checkpoints(None, ""), SILENT)
    terms = [
        value
        for row in fitted.history
        for network in row["networks"].values()
        for value in network["terms"].values()
    ]
    assert terms
    assert all(math.isfinite(value) for value in terms)
    return ""


def on_either(loss: str, schedule: str, encoder: str, folder: Path) -> list[str]:
    """Returns why neither kind of labels serves; nothing where one of them does."""
    reasons = list[str]()
    for kind in KINDS:
        reasons.append(attempt(loss, schedule, encoder, kind, folder))
        if not reasons[-1]:
            return []
    return reasons


def sixth(names: list[str], number: int) -> list[str]:
    """Every sixth name, from another one on for each number: the slow test has all."""
    return names[number % 6 :: 6]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_sixth_of_the_losses_with_a_schedule(schedule: str, tmp_path: Path) -> None:
    losses = sixth(LOSSES, SCHEDULES.index(schedule))
    reasons = {loss: on_either(loss, schedule, "hrnn", tmp_path) for loss in losses}
    assert not all(reasons.values()), reasons


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_sixth_of_the_losses_with_an_encoder(encoder: str, tmp_path: Path) -> None:
    losses = sixth(LOSSES, ENCODERS.index(encoder))
    reasons = {loss: on_either(loss, "serial", encoder, tmp_path) for loss in losses}
    assert not all(reasons.values()), reasons


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_schedule_with_an_encoder(encoder: str, tmp_path: Path) -> None:
    loss = "logit-mse"
    reasons = {name: attempt(loss, name, encoder, "multi-label", tmp_path) for name in SCHEDULES}
    assert not all(reasons.values()), reasons


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_runs_on_data_that_it_is_meant_for(loss: str, tmp_path: Path) -> None:
    reasons = [attempt(loss, "parallel", "hrnn", kind, tmp_path) for kind in KINDS]
    assert not all(reasons), reasons


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_loss_with_every_schedule_and_encoder(
    schedule: str, encoder: str, tmp_path: Path
) -> None:
    for loss, kind in itertools.product(LOSSES, KINDS):
        attempt(loss, schedule, encoder, kind, tmp_path)
