"""What a phase makes of the networks: who stands still, whose weights are copied, whose head the student has."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import nn

from distillbench.errors import ConfigError
from distillbench.interfaces import Network, Phase
from distillbench.networks import Model

Models = Mapping[Network, Model]


def begin(phase: Phase, models: Models) -> None:
    """Copies weights and heads as the phase declares."""
    for network, source in phase.starts.items():
        _copy_weights(
            models[source], models[network], f"phase '{phase.name}': the {source}'s weights into the {network}"
        )
    if phase.head in ("copy", "frozen"):
        what = f"phase '{phase.name}': the teacher's head into the student"
        _copy_weights(models["teacher"].head, models["student"].head, what)


def cast(phase: Phase, models: Models, with_states: bool) -> None:
    """Sets every network's mode for the phase; done again whenever evaluation has changed it.

    A network that does not learn is in evaluation mode and without gradient: its dropout would teach noise. One that
    learns is in training mode.
    """
    if phase.head == "tied":
        _check_same_head(models)
        models["student"].head = models["teacher"].head
    for network, model in models.items():
        learns = network in phase.objectives
        model.train(learns)
        model.requires_grad_(learns)
        model.encoder.keeps_states = with_states
    if phase.head == "tied" and phase.objectives:  # the standing one of the two must not still the head they share
        models["student"].head.train().requires_grad_(True)
    if phase.head == "frozen":
        models["student"].head.eval().requires_grad_(False)


def end(phase: Phase, models: Models) -> None:
    """Gives the student a head of its own again."""
    if phase.head == "tied":
        models["student"].head = copy.deepcopy(models["teacher"].head)
    for model in models.values():
        model.encoder.keeps_states = False


def learning_parameters(phase: Phase, models: Models) -> dict[str, nn.Parameter]:
    """Lists the parameters that the phase moves, by network and name."""
    return {
        f"{network}.{name}": parameter
        for network in phase.objectives
        for name, parameter in models[network].named_parameters()
        if parameter.requires_grad
    }


def _copy_weights(source: nn.Module, target: nn.Module, what: str) -> None:
    try:
        target.load_state_dict(source.state_dict())
    except RuntimeError as error:
        raise ConfigError(
            [f"{what} cannot be copied: they are not built alike ({str(error).splitlines()[-1].strip()})"]
        ) from error


def _check_same_head(models: Models) -> None:
    shapes = [{n: p.shape for n, p in models[network].head.state_dict().items()} for network in ("teacher", "student")]
    if shapes[0] != shapes[1]:
        raise ConfigError(["a tied head needs encodings of equal width; the teacher's and the student's differ"])
