"""Builds the networks and losses of a run; every width is read from the data."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from distillbench.config.run_spec import Choice, RunSpec
from distillbench.config.schedule_rules import members_of, teacher_of
from distillbench.data.batches import Measured, View
from distillbench.distributed.processes import SINGLE, Processes
from distillbench.errors import ConfigError, PluginError
from distillbench.interfaces import (
    DataSet,
    Head,
    LearnedSelector,
    LossContext,
    Phase,
    Shapes,
    Splits,
    Term,
    Videos,
    ViewSpec,
)
from distillbench.networks import Model, Precision, columns_of, precision_on, probe, projected
from distillbench.seeds import derive, seed_torch
from distillbench.training.compatibility import refuse_conflicts
from distillbench.training.views import (
    Candidates,
    RandomK,
    is_learned,
    longest_of,
    selector_of,
    view_of,
)
from distillbench.untrusted import quoted

Loss = Any
"""A `LabelLoss` or a `MatchingLoss`, which take different arguments."""


@dataclass(frozen=True)
class LossKey:
    """Identifies a loss of a run.

    learner: the network that learns from it.
    loss: the loss's name.
    teacher: the network or ensemble that it compares the learner with; empty for a label loss.
    """

    learner: str
    loss: str
    teacher: str = ""

    def __str__(self) -> str:
        """Returns its name in a checkpoint."""
        return ".".join(part for part in (self.learner, self.loss, self.teacher) if part)


@dataclass(frozen=True)
class Experiment:
    """Everything that a run trains and evaluates with.

    spec: the run's settings.
    splits: the data set's splits.
    models: the networks, by name.
    losses: the loss of every term of every phase.
    device: where the networks are.
    precision: what their products are computed in.
    processes: the processes that share the run.
    shapes: the networks' widths, by name.
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
        """Returns the view that chooses a network's frames.

        network: its name.
        view: another view than its own.
        training: whether frames are chosen as in training, where they may differ in each epoch.
        """
        view_spec = self.spec.view(network, view)
        learned = is_learned(self.spec, view_spec.selector, training=training)
        selector = self.models[network].selector if learned else None
        return view_of(self.spec, self.splits, view_spec, selector, training=training)

    @functools.cached_property
    def evaluation_views(self) -> Mapping[str, Measured]:
        """The view of each network in evaluation."""
        return {network: self._measured_view(network) for network in self.models}

    def _measured_view(self, network: str) -> Measured:
        view = self.view(network)
        assert not isinstance(view, RandomK), "config.schedule_rules refuses a range of k here"
        return view


def open_data(spec: RunSpec) -> Splits:
    """Opens a run's data set.

    Raises `DataError` if a split has no videos, or if the splits do not fit together.
    Raises `PluginError` if the data set fails.
    """
    dataset: DataSet = spec.data.build()
    with spec.data.component.guarded():
        splits = dataset.splits()
        if not isinstance(splits, Splits):
            title = spec.data.component.title
            raise PluginError(
                f"{title}: splits() returned {quoted(splits)}; it must return a Splits"
            )
    return splits


def assemble(
    spec: RunSpec, splits: Splits, device: torch.device, processes: Processes = SINGLE
) -> Experiment:
    """Builds every network and loss of a run on the device.

    Raises `ConfigError` if a network should see more frames than any video has.
    Raises `NotApplicableError` if networks and losses do not fit together.
    """
    check_lengths(spec, splits)
    models: dict[str, Model] = {}
    shapes: dict[str, Shapes] = {}
    for network in spec.networks:
        models[network], shapes[network] = build_network(spec, splits, network)
        models[network].to(device)
    refuse_conflicts(spec, models, shapes)
    losses = _losses(spec, shapes, splits.train, device)
    # Machines of one run may differ, but all processes must compute in the same precision.
    precision = processes.broadcast(lambda: precision_on(device, spec.training.precision))
    for model in models.values():
        model.precision = precision
    return Experiment(spec, splits, models, losses, device, precision, processes, shapes)


def build_network(
    spec: RunSpec, splits: Splits, network: str, *purpose: object
) -> tuple[Model, Shapes]:
    """Builds a network with newly drawn weights.

    purpose: parts of the seed that make this draw differ from the first one of the run.
    """
    videos = splits.train
    width = videos.width
    classes = videos.labels.count
    encoder = _seeded(spec, spec.encoder(network), (network, *purpose), width)
    shapes = probe(encoder, width, classes)
    other = spec.networks[network].width_of
    if other is not None:
        like = _seeded(spec, spec.encoder(other), (other,), width)
        wanted = probe(like, width, classes).summary
        with _seed(spec, f"{network} projection", *purpose):
            encoder = projected(encoder, shapes.summary, wanted)
        shapes = replace(shapes, summary=wanted)
    head = _seeded(spec, spec.head, (f"{network} head", *purpose), shapes.summary, classes)
    if type(head).start_from is not Head.start_from:
        with spec.head.component.guarded():
            head.start_from((videos.labels.positives() + 0.5) / (len(videos) + 1))
    selector = _learned_selector(spec, splits, network, purpose)
    model = Model(encoder, head, videos.codec, selector=selector, features=videos.features)
    return model, shapes


def _learned_selector(
    spec: RunSpec, splits: Splits, network: str, purpose: tuple[object, ...]
) -> LearnedSelector | None:
    """Builds the selector that is a part of a network; None if its selector is not learned."""
    view = spec.view(network)
    if not is_learned(spec, view.selector, training=False):
        return None
    choice = selector_of(spec, view.selector, training=False)
    features_read = choice.component.cls.reads  # type: ignore[attr-defined]
    columns = columns_of(splits.train.features, features_read)
    width = splits.train.width if columns is None else len(columns)
    k = view.k if isinstance(view.k, int) else longest_of(splits)
    selector: LearnedSelector = _seeded(spec, choice, (f"{network} selector", *purpose), width, k)
    return selector


def check_lengths(spec: RunSpec, splits: Splits) -> None:
    """Raises `ConfigError` if a network should see more frames than any video has."""
    longest = longest_of(splits)
    largest_k = max(_largest_k(view) for view in spec.views)
    if largest_k > longest:
        raise ConfigError(
            [
                f"k = {largest_k} is more than any video has; "
                f"the longest video of {spec.data.name} has {longest} frames"
            ]
        )


def _largest_k(view: ViewSpec) -> int:
    """Returns the most frames that a view may be asked for; 1 if it takes all frames."""
    if isinstance(view.k, tuple):
        return view.k[1]
    return view.k or 1


def needs_states(spec: RunSpec, phase: Phase) -> bool:
    """Tells whether some loss of a phase reads states."""
    for learner in phase.learners.values():
        for term in learner.terms:
            if "states" in spec.requirements(term.loss).needs:
                return True
    return False


def key_of(learner: str, term: Term) -> LossKey:
    """Returns the key of the loss of a learner's term."""
    teacher = teacher_of(term)
    return LossKey(learner, term.loss, teacher.network if teacher else "")


def _seeded(spec: RunSpec, choice: Choice, purpose: tuple[object, ...], *given: object) -> Any:
    """Builds a component with a seed of its own, so that no other component changes its weights."""
    with _seed(spec, *purpose):
        return choice.build(*given)


@contextmanager
def _seed(spec: RunSpec, *purpose: object) -> Iterator[None]:
    """Seeds what draws weights for a purpose, and restores the random state."""
    with torch.random.fork_rng(devices=[]):
        seed_torch(derive(spec.seed, *purpose, "init"))
        yield


def _losses(
    spec: RunSpec, shapes: Mapping[str, Shapes], train: Videos, device: torch.device
) -> dict[LossKey, Loss]:
    """Builds the loss of every term.

    Terms of the same learner, loss and teacher share one loss, in all phases.
    """
    positives = train.labels.positives().tolist()
    losses: dict[LossKey, Loss] = {}
    for phase in spec.phases:
        for name, learner in phase.learners.items():
            for term in learner.terms:
                key = key_of(name, term)
                if key in losses:
                    continue
                teacher = None
                if key.teacher:
                    first_member = members_of(phase, key.teacher)[0]
                    teacher = shapes[first_member]
                context = LossContext(shapes[name], teacher, len(train), positives)
                # The teacher is part of the seed only where needed: with one teacher the weights
                # do not depend on its name.
                purpose = f"{name} loss {term.loss}"
                is_repeated = sum(other.loss == term.loss for other in learner.terms) > 1
                if is_repeated:
                    purpose += f" {key.teacher}"
                loss = _seeded(spec, spec.losses[term.loss], (purpose,), context)
                losses[key] = loss.to(device)
    return losses
