"""Adam as the paper uses it: staircase decay, each tensor's gradient clipped, an L2 penalty on the head's matrices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from distillbench.config import Training
from distillbench.processes import SOLO, Processes


class Optimiser:
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
        processes: Processes = SOLO,
    ) -> None:
        self._training, self._processes = training, processes
        self._names: dict[Tensor, str] = {}
        for name, parameter in parameters.items():
            self._names.setdefault(parameter, name)
        penalised = set(matrices_of_heads)
        groups = [
            {"params": [p for p in self._names if p in penalised], "weight_decay": training.l2},
            {"params": [p for p in self._names if p not in penalised], "weight_decay": 0.0},
        ]
        used = [group for group in groups if group["params"]]
        self._adam = torch.optim.Adam(used, lr=training.learning_rate, fused=True)

    def step(self, loss: Tensor, examples: int) -> None:
        """Moves the parameters by one step down the sum of all processes' `loss`.

        `examples` were seen in the phase before it.
        """
        self._adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._processes.sum_gradients(list(self._names))
        gradients = [p.grad for p in self._names if p.grad is not None]
        if self._training.clip > 0 and gradients:
            norms = torch._foreach_norm(gradients)
            scales = [(self._training.clip / (norm + 1e-12)).clamp_max(1.0) for norm in norms]
            torch._foreach_mul_(gradients, scales)
        rate = self.learning_rate(examples)
        for group in self._adam.param_groups:
            group["lr"] = rate
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
            entries = {key.rpartition("/")[2]: value for key, value in state.items() if key.rpartition("/")[0] == name}
            if entries:
                self._adam.state[parameter] = {k: v.to(parameter.device).clone() for k, v in entries.items()}
