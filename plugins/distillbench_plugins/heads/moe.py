"""Mixture of experts: each class's probability is a gated mean of logistic experts.

YouTube-8M's head (arXiv 1609.08675).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, logsigmoid

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import Head


class MixtureOfExperts(Head):
    """Mixture of logistic experts with a dummy expert whose probability is 0.

    The paper's head (docs/paper.md, row 9).

    p = sum over mixtures of gate * sigmoid(expert), the gates a softmax that also covers the dummy.
    Matrices start Glorot-uniform, the experts' bias at zero; gates have no bias.

    Knobs:
        mixtures: experts of each class, the dummy not counted.
        dropout: the share of the encoding that is dropped before the head (docs/paper.md, row 16).
    """

    def __init__(
        self, width: int, classes: int, *, mixtures: int = 2, dropout: float = 0.5
    ) -> None:
        super().__init__()
        if mixtures < 1:
            raise ConfigError([f"head moe: mixtures={mixtures} is not at least 1"])
        if not 0.0 <= dropout < 1.0:
            raise ConfigError([f"head moe: dropout={dropout} is not within [0, 1)"])
        self.classes, self.mixtures, self.dropout = classes, mixtures, dropout
        self.gates = nn.Linear(width, classes * (mixtures + 1), bias=False)
        self.experts = nn.Linear(width, classes * mixtures)
        for linear in (self.gates, self.experts):
            nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(self.experts.bias)

    def forward(self, summary: Tensor) -> Tensor:
        """Returns log p - log(1 - p), in float32 or better, finite however large the inputs are.

        p and 1 - p have the softmax's denominator in common, so neither is ever computed.
        """
        summary = dropout(summary, self.dropout, self.training)
        gates = _at_least_float32(self.gates(summary)).view(-1, self.classes, self.mixtures + 1)
        experts = _at_least_float32(self.experts(summary)).view(-1, self.classes, self.mixtures)
        gates = gates - gates.detach().amax(2, keepdim=True)
        yes: Tensor = gates[:, :, :-1] + logsigmoid(experts)
        no = torch.cat([gates[:, :, :-1] + logsigmoid(-experts), gates[:, :, -1:]], 2)
        return yes.logsumexp(2) - no.logsumexp(2)


def _at_least_float32(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


@hookimpl
def heads() -> dict[str, type[Head]]:
    """Offers `moe`."""
    return {"moe": MixtureOfExperts}
