"""Adam with staircase decay, clipping per tensor and an L2 penalty on the head's matrices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from distillbench.config.layers import Training
from distillbench.distributed.processes import SINGLE, Processes


class Optimizer:
    """Fused Adam over named parameters, with the settings of the paper.

    A parameter that two networks share is moved once, by the gradients of both.

    Several processes add up their gradients first, so all of them move their weights alike.
    `DistributedDataParallel` does not fit: it wraps one module whose parameters never change. Here
    two networks learn in one step, share a head in one phase and are frozen in another, and losses
    have weights too.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        matrices_of_heads: Iterable[nn.Parameter],
        training: Training,
        processes: Processes = SINGLE,
        *,
        overrides: Mapping[str, Mapping[str, float]] | None = None,
        groups: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Sorts the parameters into groups of equal learning rate and penalty.

        matrices_of_heads: the parameters that the L2 penalty applies to.
        overrides: by parameter name, settings of `training.*` that replace the run's.
        groups: parameter groups of losses; their `lr` and `weight_decay` replace all else.
        """
        self._training = training
        self._processes = processes
        self._names: dict[Tensor, str] = {}
        self._clips: list[float] = []
        settings: dict[Tensor, tuple[float, float]] = {}
        penalized = set(matrices_of_heads)
        for name, parameter in parameters.items():
            if parameter in self._names:  # two networks share it
                continue
            own = overrides.get(name, {}) if overrides else {}
            rate = own.get("learning_rate", training.learning_rate)
            l2 = own.get("l2", training.l2) if parameter in penalized else 0.0
            self._names[parameter] = name
            self._clips.append(own.get("clip", training.clip))
            settings[parameter] = (rate, l2)
        for group in groups:
            for parameter in group["params"]:
                rate, l2 = settings[parameter]
                settings[parameter] = (group.get("lr", rate), group.get("weight_decay", l2))
        self._adam = torch.optim.Adam(_parameter_groups(settings), fused=True)

    def step(self, loss: Tensor, examples: int) -> None:
        """Moves the parameters by one step down the sum of all processes' losses.

        loss: this process's part, a scalar.
        examples: the number of examples seen in the phase before this step.
        """
        self._adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        # Before clipping, which depends on the norm of the whole batch's gradient.
        self._processes.sum_gradients(list(self._names))
        self._clip_gradients()
        for group in self._adam.param_groups:
            group["lr"] = self._decayed(group["initial_lr"], examples)
        self._adam.step()

    def learning_rate(self, examples: int) -> float:
        """Computes the run's learning rate after a number of examples of the phase."""
        return self._decayed(self._training.learning_rate, examples)

    def state(self) -> dict[str, Tensor]:
        """Returns Adam's state by parameter name, for a checkpoint."""
        tensors = {}
        for parameter, entries in self._adam.state.items():
            for entry, value in entries.items():
                tensors[f"{self._names[parameter]}/{entry}"] = value
        return tensors

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Restores what `state` returned."""
        parameters = {name: parameter for parameter, name in self._names.items()}
        for key, value in state.items():
            name, _, entry = key.rpartition("/")
            parameter = parameters.get(name)
            if parameter is not None:
                # Fused Adam keeps even its step count on the parameter's device.
                self._adam.state[parameter][entry] = value.to(parameter.device).clone()

    def _clip_gradients(self) -> None:
        """Scales each tensor's gradient down to its clip norm; 0 switches clipping off."""
        gradients = []
        clips = []
        for parameter, clip in zip(self._names, self._clips, strict=True):
            if parameter.grad is not None:
                gradients.append(parameter.grad)
                clips.append(clip)
        if not any(clips):
            return
        norms = torch._foreach_norm(gradients)
        scales = []
        for clip, norm in zip(clips, norms, strict=True):
            # Computed on the device: a comparison in Python would wait for each norm.
            scales.append((clip / (norm + 1e-12)).clamp_max(1.0) if clip else torch.ones_like(norm))
        torch._foreach_mul_(gradients, scales)

    def _decayed(self, rate: float, examples: int) -> float:
        """Applies the staircase: the rate is multiplied by `decay` every `decay_examples`."""
        training = self._training
        decayed: float = rate * training.decay ** (examples // training.decay_examples)
        return decayed


def _parameter_groups(settings: Mapping[Tensor, tuple[float, float]]) -> list[dict[str, Any]]:
    """Groups parameters by learning rate and penalty, in order of appearance."""
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for parameter, setting in settings.items():
        groups.setdefault(setting, []).append(parameter)
    return [
        # `initial_lr` is what the staircase starts from; `lr` is overwritten at every step.
        {"params": parameters, "lr": rate, "initial_lr": rate, "weight_decay": l2}
        for (rate, l2), parameters in groups.items()
    ]
