"""What a phase makes of the networks: whose weights are copied, who learns, who is frozen."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import nn

from distillbench.config.schedule_rules import in_order
from distillbench.interfaces import Copy, Freeze, Phase, Tie
from distillbench.networks import Model

Models = Mapping[str, Model]


def begin(phase: Phase, models: Models, fresh: Callable[[str], Model]) -> None:
    """Copies and draws weights as the phase declares; fresh: builds a network with newly drawn weights."""
    for name in in_order(phase.starts):
        models[name].load_state_dict(models[phase.starts[name]].state_dict())
    inits = {name: learner.init for name, learner in phase.learners.items()}
    for name, init in inits.items():
        if "fresh" in (init.encoder, init.head):
            drawn = fresh(name)
            if init.encoder == "fresh":
                models[name].encoder.load_state_dict(drawn.encoder.state_dict())
                if models[name].selector is not None and drawn.selector is not None:
                    models[name].selector.load_state_dict(drawn.selector.state_dict())  # type: ignore[union-attr]
            if init.head == "fresh":
                models[name].head.load_state_dict(drawn.head.state_dict())
    encoders = {
        n: init.encoder.network for n, init in inits.items() if isinstance(init.encoder, Copy)
    }
    for name in in_order(encoders):
        models[name].encoder.load_state_dict(models[encoders[name]].encoder.state_dict())
    heads = {
        n: init.head.network for n, init in inits.items() if isinstance(init.head, Copy | Freeze)
    }
    for name in in_order(heads):
        models[name].head.load_state_dict(models[heads[name]].head.state_dict())
    follows = {name: average.source for name, average in phase.averages.items()}
    for name in in_order(follows):
        models[name].load_state_dict(models[follows[name]].state_dict())


def set_modes(phase: Phase, models: Models) -> None:
    """Sets every network's mode for the phase, and ties heads.

    A network that does not learn is in evaluation mode and without gradient: its dropout would teach
    noise. One that learns is in training mode.
    """
    ties = tied(phase)
    for name in in_order(ties):
        models[name].head = models[ties[name]].head
    for name, model in models.items():
        learns = name in phase.learners
        model.train(learns)
        model.requires_grad_(learns)
    for name in ties:  # the frozen one of the two must not freeze the head that they share
        models[name].head.train().requires_grad_(True)
    for name, learner in phase.learners.items():
        if isinstance(learner.init.head, Freeze):
            models[name].head.eval().requires_grad_(False)


def end(phase: Phase, models: Models) -> None:
    """Gives every network a head of its own again."""
    for name in tied(phase):
        models[name].head = copy.deepcopy(models[name].head)


def tied(phase: Phase) -> dict[str, str]:
    """Lists whose head each learner shares in a phase."""
    return {
        name: learner.init.head.network
        for name, learner in phase.learners.items()
        if isinstance(learner.init.head, Tie)
    }


def learning_parameters(phase: Phase, models: Models) -> dict[str, nn.Parameter]:
    """Lists the parameters that the phase moves, by network and name."""
    return {
        f"{network}.{name}": parameter
        for network in phase.learners
        for name, parameter in models[network].named_parameters()
        if parameter.requires_grad
    }


@torch.no_grad()
def follow(phase: Phase, models: Models) -> None:
    """Moves every average of the phase towards its source; what is no floating-point weight is copied."""
    sources = {name: average.source for name, average in phase.averages.items()}
    for name in in_order(sources):
        decay = phase.averages[name].decay
        source = models[sources[name]].state_dict()
        for key, value in models[name].state_dict().items():
            if value.is_floating_point():
                value.mul_(decay).add_(source[key], alpha=1.0 - decay)
            else:
                value.copy_(source[key])
