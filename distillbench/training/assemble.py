"""Builds the parts of a run from its setup; every width is read from the data, never typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from distillbench.data.batches import View
from distillbench.errors import ConfigError, PluginError
from distillbench.interfaces import (
    DataSet,
    FrameSelector,
    MatchingLoss,
    Network,
    Phase,
    Shapes,
    Splits,
)
from distillbench.networks import Model, Precision, precision_on, probe
from distillbench.processes import SOLO, Processes
from distillbench.quoting import quoted
from distillbench.seeds import derive
from distillbench.setup import Choice, Setup
from distillbench.training.pairing import refuse_misfits


@dataclass(frozen=True)
class Parts:
    """Everything a run trains and evaluates with.

    models: the networks some phase uses. losses: by learner and name. training_views and evaluation_views: what each
    network sees. processes: those that make the run together.
    """

    setup: Setup
    splits: Splits
    models: Mapping[Network, Model]
    losses: Mapping[Network, Mapping[str, MatchingLoss]]
    training_views: Mapping[Network, View]
    evaluation_views: Mapping[Network, View]
    device: torch.device
    precision: Precision
    processes: Processes = SOLO


def open_data(setup: Setup) -> Splits:
    """Opens a setup's data set; raises `DataError` where a split has no videos or the splits do not fit together."""
    dataset: DataSet = setup.data.build()
    with setup.data.component.answering():
        splits = dataset.splits()
        if not isinstance(splits, Splits):
            title = setup.data.component.title
            raise PluginError(f"{title}: splits() returned {quoted(splits)}; it returns a Splits")
    return splits


def assemble(setup: Setup, splits: Splits, device: torch.device, processes: Processes = SOLO) -> Parts:
    """Builds every network, loss and view that a setup's phases use, on the device.

    Raises `NotApplicableError` where they do not fit together.
    """
    width, classes, codec = splits.train.width, splits.train.labels.count, splits.train.codec
    check_lengths(setup, splits)
    shapes: dict[Network, Shapes] = {}
    models: dict[Network, Model] = {}
    for network in setup.networks:
        encoder = _seeded(setup, network, getattr(setup, network), width)
        shapes[network] = probe(encoder, width, classes)
        head = _seeded(setup, f"{network} head", setup.head, shapes[network].summary, classes)
        models[network] = Model(encoder, head, codec).to(device)
    refuse_misfits(setup, models, shapes)
    training_views, evaluation_views = _views(setup, splits, models)
    losses = _losses(setup, shapes, device)
    precision = processes.decide(lambda: precision_on(device, setup.training.precision))
    for model in models.values():
        model.precision = precision
    return Parts(setup, splits, models, losses, training_views, evaluation_views, device, precision, processes)


def check_lengths(setup: Setup, splits: Splits) -> None:
    """Raises `ConfigError` where the student is to see more frames than any video has."""
    longest = max(int(videos.lengths.max()) for videos in (splits.train, splits.validation, splits.test))
    if "student" in setup.networks and setup.k > longest:
        raise ConfigError(
            [f"k = {setup.k} is more than any video has; the longest video of {setup.data.name} has {longest} frames"]
        )


def needs_states(setup: Setup, phase: Phase) -> bool:
    """Tells whether some loss of a phase reads states."""
    return any("states" in setup.passport(name).needs for objective in phase.objectives.values() for name in objective)


def _seeded(setup: Setup, purpose: str, choice: Choice, *given: object) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(setup.seed, purpose, "init"))
        return choice.build(*given)


def _views(
    setup: Setup, splits: Splits, models: Mapping[Network, Model]
) -> tuple[dict[Network, View], dict[Network, View]]:
    longest = max(int(videos.lengths.max()) for videos in (splits.train, splits.validation, splits.test))
    training: dict[Network, View] = {}
    evaluation: dict[Network, View] = {}
    for network in models:
        slots = longest if network == "teacher" else setup.k
        chosen = (setup.teacher_selector,) * 2 if network == "teacher" else (setup.train_selector, setup.selector)
        selectors: Sequence[FrameSelector] = [choice.build(slots) for choice in chosen]
        training[network] = View(selectors[0], slots, setup.seed, training=True)
        evaluation[network] = View(selectors[1], slots, setup.seed, training=False)
    return training, evaluation


def _losses(
    setup: Setup, shapes: Mapping[Network, Shapes], device: torch.device
) -> dict[Network, dict[str, MatchingLoss]]:
    built: dict[Network, dict[str, MatchingLoss]] = {network: {} for network in shapes}
    for phase in setup.phases:
        for learner, objective in phase.objectives.items():
            guide = phase.guides.get(learner, learner)
            student, teacher = shapes[learner], shapes.get(guide, shapes[learner])
            for name in objective:
                if name not in built[learner]:
                    built[learner][name] = _seeded(
                        setup, f"{learner} loss {name}", setup.losses[name], student, teacher
                    ).to(device)
    return built
