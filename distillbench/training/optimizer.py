"""Adam as the paper uses it: staircase decay, each tensor's gradient clipped, an L2 penalty on the head's matrices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from distillbench.config.layers import Training
from distillbench.distributed.processes import SINGLE, Processes


class Optimizer:
    """Fused Adam over named parameters; a parameter that two networks share is moved once, by both gradients.

    Several processes add their gradients up before anything is done with them, and so all move their weights alike.
    That is done here and not by `DistributedDataParallel`, which wraps one module whose parameters never change: here
    two networks learn in one step, share a head in one phase and stand still in another, and losses have weights too.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        matrices_of_heads: Iterable[nn.Parameter],
        training: Training,
        processes: Processes = SINGLE,
        *,
        own: Mapping[str, Mapping[str, float]] | None = None,
        groups: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """own: settings of `training.*` that parameters have for themselves, by their name.

        groups: parameter groups of losses; their `lr` and `weight_decay` go before all else.
        """
        self._training, self._processes = training, processes
        self._names: dict[Tensor, str] = {}
        settings: dict[Tensor, tuple[float, float]] = {}
        self._clips: list[float] = []
        penalised = set(matrices_of_heads)
        for name, parameter in parameters.items():
            if parameter in self._names:  # two networks share it
                continue
            self._names[parameter] = name
            overrides = (own or {}).get(name, {})
            l2 = overrides.get("l2", training.l2) if parameter in penalised else 0.0
            settings[parameter] = overrides.get("learning_rate", training.learning_rate), l2
            self._clips.append(overrides.get("clip", training.clip))
        for group in groups:
            for parameter in group["params"]:
                rate, l2 = settings[parameter]
                settings[parameter] = group.get("lr", rate), group.get("weight_decay", l2)
        alike: dict[tuple[float, float], list[Tensor]] = {}
        for moved, found in settings.items():
            alike.setdefault(found, []).append(moved)
        made = [
            {"params": moved, "lr": rate, "initial_lr": rate, "weight_decay": l2}
            for (rate, l2), moved in alike.items()
        ]
        self._adam = torch.optim.Adam(made, fused=True)

    def step(self, loss: Tensor, examples: int) -> None:
        """Moves the parameters by one step down the sum of all processes' `loss`.

        `examples` were seen in the phase before it.
        """
        self._adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._processes.sum_gradients(list(self._names))
        gradients = [p.grad for p in self._names if p.grad is not None]
        clips = [c for c, p in zip(self._clips, self._names, strict=True) if p.grad is not None]
        if any(clips):
            norms = torch._foreach_norm(gradients)
            scales = [
                (clip / (norm + 1e-12)).clamp_max(1.0) if clip else torch.ones_like(norm)
                for clip, norm in zip(clips, norms, strict=True)
            ]
            torch._foreach_mul_(gradients, scales)
        t = self._training
        for group in self._adam.param_groups:
            group["lr"] = group["initial_lr"] * t.decay ** (examples // t.decay_examples)
        self._adam.step()

    def learning_rate(self, examples: int) -> float:
        """Computes the learning rate once `examples` have been seen."""
        t = self._training
        return t.learning_rate * t.decay ** (examples // t.decay_examples)

    def state(self) -> dict[str, Tensor]:
        """Returns Adam's state by parameter name, for a checkpoint."""
        return {
            f"{self._names[parameter]}/{entry}": value
            for parameter, entries in self._adam.state.items()
            for entry, value in entries.items()
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes back what `state` returned."""
        for parameter, name in self._names.items():
            entries = {
                key.rpartition("/")[2]: value
                for key, value in state.items()
                if key.rpartition("/")[0] == name
            }
            if entries:
                self._adam.state[parameter] = {
                    k: v.to(parameter.device).clone() for k, v in entries.items()
                }
