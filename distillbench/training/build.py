"""Builds the parts of a run from its setup; every width is read from the data, never typed."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from distillbench.config.run_spec import Choice, RunSpec
from distillbench.config.schedule_rules import members_of, teacher_of
from distillbench.data.batches import Measured, View
from distillbench.distributed.processes import SINGLE, Processes
from distillbench.errors import ConfigError, PluginError
from distillbench.interfaces import (
    DataSet,
    LearnedSelector,
    LossContext,
    Phase,
    Shapes,
    Splits,
    Term,
    ViewSpec,
)
from distillbench.networks import Model, Precision, columns_of, precision_on, probe
from distillbench.seeds import derive
from distillbench.training.compatibility import refuse_conflicts
from distillbench.training.views import Candidates, RandomK, is_learned, longest_of, view_of
from distillbench.untrusted import quoted

Loss = Any
"""A `LabelLoss` or a `MatchingLoss`, which are called differently."""


@dataclass(frozen=True)
class LossKey:
    """Tells the losses of a run apart: who learns from it, its name, and whom it compares the learner with."""

    learner: str
    loss: str
    teacher: str = ""

    def __str__(self) -> str:
        """Its name in a checkpoint."""
        return ".".join(part for part in (self.learner, self.loss, self.teacher) if part)


@dataclass(frozen=True)
class Experiment:
    """Everything a run trains and evaluates with.

    models: the networks some phase uses, by name. shapes: how wide they are. processes: those that make
    the run together.
    """

    spec: RunSpec
    splits: Splits
    models: Mapping[str, Model]
    losses: Mapping[LossKey, Loss]
    device: torch.device
    precision: Precision
    processes: Processes = SINGLE
    shapes: Mapping[str, Shapes] = field(default_factory=dict)

    def view(
        self, network: str, view: ViewSpec | None = None, *, training: bool = False
    ) -> View | Candidates | RandomK:
        """Returns what a network is shown: its own view, or another; in training frames may be drawn anew."""
        view_spec = self.spec.view(network, view)
        learned = is_learned(self.spec, view_spec.selector, training=training)
        selector = self.models[network].selector if learned else None
        return view_of(self.spec, self.splits, view_spec, selector, training=training)

    @functools.cached_property
    def evaluation_views(self) -> Mapping[str, Measured]:
        """What each network is shown in evaluation."""
        return {network: self._measured_view(network) for network in self.models}

    def _measured_view(self, network: str) -> Measured:
        view = self.view(network)
        assert not isinstance(view, RandomK), "refused by the rules of schedules"
        return view


def open_data(spec: RunSpec) -> Splits:
    """Opens a setup's data set; raises `DataError` where a split has no videos or the splits do not fit together."""
    dataset: DataSet = spec.data.build()
    with spec.data.component.guarded():
        splits = dataset.splits()
        if not isinstance(splits, Splits):
            title = spec.data.component.title
            raise PluginError(f"{title}: splits() returned {quoted(splits)}; it returns a Splits")
    return splits


def assemble(
    spec: RunSpec, splits: Splits, device: torch.device, processes: Processes = SINGLE
) -> Experiment:
    """Builds every network and loss that a setup's phases use, on the device.

    Raises `NotApplicableError` where they do not fit together.
    """
    check_lengths(spec, splits)
    models: dict[str, Model] = {}
    shapes: dict[str, Shapes] = {}
    for network in spec.networks:
        models[network], shapes[network] = build_network(spec, splits, network)
        models[network].to(device)
    refuse_conflicts(spec, models, shapes)
    losses = _losses(spec, shapes, len(splits.train), device)
    precision = processes.broadcast(lambda: precision_on(device, spec.training.precision))
    for model in models.values():
        model.precision = precision
    return Experiment(spec, splits, models, losses, device, precision, processes, shapes)


def build_network(
    spec: RunSpec, splits: Splits, network: str, *purpose: object
) -> tuple[Model, Shapes]:
    """Builds a network with the weights that it is drawn with; purpose: what tells this draw from the first."""
    videos = splits.train
    width, classes = videos.width, videos.labels.count
    encoder = _seeded(spec, spec.encoder(network), (network, *purpose), width)
    shapes = probe(encoder, width, classes)
    head = _seeded(spec, spec.head, (f"{network} head", *purpose), shapes.summary, classes)
    selector = _learned_selector(spec, splits, network, purpose)
    model = Model(encoder, head, videos.codec, selector=selector, features=videos.features)
    return model, shapes


def _learned_selector(
    spec: RunSpec, splits: Splits, network: str, purpose: tuple[object, ...]
) -> LearnedSelector | None:
    """Builds the selector that is a part of a network; None where its view has one that is not learned."""
    view = spec.view(network)
    if not is_learned(spec, view.selector, training=False):
        return None
    choice: Choice = getattr(spec, str(view.selector))
    columns = columns_of(splits.train.features, choice.component.cls.reads)  # type: ignore[attr-defined]
    width = splits.train.width if columns is None else len(columns)
    k = view.k if isinstance(view.k, int) else longest_of(splits)
    selector: LearnedSelector = _seeded(spec, choice, (f"{network} selector", *purpose), width, k)
    return selector


def check_lengths(spec: RunSpec, splits: Splits) -> None:
    """Raises `ConfigError` where a network is to see more frames than any video has."""
    longest = longest_of(splits)
    most = [view.k[1] if isinstance(view.k, tuple) else view.k or 1 for view in spec.views]
    if max(most) > longest:
        raise ConfigError(
            [
                f"k = {max(most)} is more than any video has; the longest video of {spec.data.name} has {longest} frames"
            ]
        )


def needs_states(spec: RunSpec, phase: Phase) -> bool:
    """Tells whether some loss of a phase reads states."""
    return any(
        "states" in spec.requirements(term.loss).needs
        for learner in phase.learners.values()
        for term in learner.terms
    )


def key_of(learner: str, term: Term) -> LossKey:
    """Names the loss of a learner's term."""
    teacher = teacher_of(term)
    return LossKey(learner, term.loss, teacher.network if teacher else "")


def _seeded(spec: RunSpec, choice: Choice, purpose: tuple[object, ...], *given: object) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(spec.seed, *purpose, "init"))
        return choice.build(*given)


def _losses(
    spec: RunSpec, shapes: Mapping[str, Shapes], videos: int, device: torch.device
) -> dict[LossKey, Loss]:
    """Builds the loss of every term; terms of the same learner, loss and teacher share one, in all phases."""
    built: dict[LossKey, Loss] = {}
    for phase in spec.phases:
        for name, learner in phase.learners.items():
            for term in learner.terms:
                key = key_of(name, term)
                if key in built:
                    continue
                teacher = shapes[members_of(phase, key.teacher)[0]] if key.teacher else None
                context = LossContext(shapes[name], teacher, videos)
                several = sum(other.loss == term.loss for other in learner.terms) > 1
                purpose = f"{name} loss {term.loss}" + (f" {key.teacher}" if several else "")
                built[key] = _seeded(spec, spec.losses[term.loss], (purpose,), context).to(device)
    return built
