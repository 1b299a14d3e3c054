"""What a phase does to the networks: which weights are copied, shared, trained or frozen."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import nn

from distillbench.config.schedule_rules import in_order
from distillbench.interfaces import Copy, Follow, Freeze, Phase, Tie
from distillbench.networks import Model

Models = Mapping[str, Model]


def begin(phase: Phase, models: Models, fresh: Callable[[str], Model]) -> None:
    """Copies and draws weights as the phase declares.

    fresh: builds a network with newly drawn weights.
    """
    # The order is part of the interface: a whole network is copied before its source is drawn
    # anew, and an encoder or head is copied from a learner after that learner's were drawn.
    for name in in_order(phase.starts):
        _copy_weights(models[phase.starts[name]], models[name])
    _draw_fresh(phase, models, fresh)
    encoder_sources = {}
    head_sources = {}
    for name, learner in phase.learners.items():
        if isinstance(learner.init.encoder, Copy):
            encoder_sources[name] = learner.init.encoder.network
        if isinstance(learner.init.head, Copy | Freeze | Follow):
            head_sources[name] = learner.init.head.network
    for name in in_order(encoder_sources):
        _copy_weights(models[encoder_sources[name]].encoder, models[name].encoder)
    for name in in_order(head_sources):
        _copy_weights(models[head_sources[name]].head, models[name].head)
    average_sources = _average_sources(phase)
    for name in in_order(average_sources):
        _copy_weights(models[average_sources[name]], models[name])


def _draw_fresh(phase: Phase, models: Models, fresh: Callable[[str], Model]) -> None:
    for name, learner in phase.learners.items():
        init = learner.init
        if "fresh" not in (init.encoder, init.head):
            continue
        drawn = fresh(name)
        if init.encoder == "fresh":
            _copy_weights(drawn.encoder, models[name].encoder)
            selector = models[name].selector
            if selector is not None and drawn.selector is not None:
                _copy_weights(drawn.selector, selector)
        if init.head == "fresh":
            _copy_weights(drawn.head, models[name].head)


def _copy_weights(source: nn.Module, target: nn.Module) -> None:
    target.load_state_dict(source.state_dict())


def set_modes(phase: Phase, models: Models) -> None:
    """Ties heads, and sets every network to training or evaluation mode for the phase.

    A learner is in training mode. Any other network is frozen: in evaluation mode, because its
    dropout would add noise to what it teaches, and without gradient.
    """
    shared_heads = tied(phase)
    for name in in_order(shared_heads):
        models[name].head = models[shared_heads[name]].head
    for name, model in models.items():
        is_learner = name in phase.learners
        model.train(is_learner)
        model.requires_grad_(is_learner)
    # A head tied to a frozen network was just frozen with it, and must learn all the same.
    for name in shared_heads:
        models[name].head.train().requires_grad_(True)
    for name, learner in phase.learners.items():
        if isinstance(learner.init.head, Freeze):
            models[name].head.eval().requires_grad_(False)
        elif isinstance(learner.init.head, Follow):
            models[name].head.requires_grad_(False)


def end(phase: Phase, models: Models) -> None:
    """Gives every network with a tied head a copy of its own."""
    for name in tied(phase):
        models[name].head = copy.deepcopy(models[name].head)


def tied(phase: Phase) -> dict[str, str]:
    """Maps each learner with a tied head to the network that it shares the head with."""
    return {
        name: learner.init.head.network
        for name, learner in phase.learners.items()
        if isinstance(learner.init.head, Tie)
    }


def learning_parameters(phase: Phase, models: Models) -> dict[str, nn.Parameter]:
    """Returns the parameters that the phase trains, by network and name."""
    parameters = {}
    for network in phase.learners:
        for name, parameter in models[network].named_parameters():
            if parameter.requires_grad:
                parameters[f"{network}.{name}"] = parameter
    return parameters


@torch.no_grad()
def follow(phase: Phase, models: Models) -> None:
    """Copies the heads that follow another's, and moves averages towards their sources."""
    heads = {
        name: learner.init.head.network
        for name, learner in phase.learners.items()
        if isinstance(learner.init.head, Follow)
    }
    for name in in_order(heads):
        _copy_weights(models[heads[name]].head, models[name].head)
    sources = _average_sources(phase)
    for name in in_order(sources):
        decay = phase.averages[name].decay
        source = models[sources[name]].state_dict()
        for key, value in models[name].state_dict().items():
            if value.is_floating_point():
                value.mul_(decay).add_(source[key], alpha=1.0 - decay)
            else:
                value.copy_(source[key])  # a count, such as that of batch normalization


def _average_sources(phase: Phase) -> dict[str, str]:
    return {name: average.source for name, average in phase.averages.items()}
