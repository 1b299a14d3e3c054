"""Mixture of experts: each class's probability is a gated mean of logistic experts.

YouTube-8M's head (arXiv 1609.08675).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import dropout

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import Head
from distillbench_plugins.layers.base_rates import begin_mixture_at
from distillbench_plugins.layers.knobs import not_a_share, refuse
from distillbench_plugins.layers.mixture import mixture_logits


class MixtureOfExperts(Head):
    """Mixture of logistic experts with a dummy expert whose probability is 0.

    The paper's head (docs/paper.md, row 9).

    p = sum over mixtures of gate * sigmoid(expert), the gates a softmax that also covers the dummy.
    Matrices start Glorot-uniform, the experts' bias at zero, with which every class begins at
    about M / (2 M + 2), a third for two experts; gates have no bias.

    Knobs:
        mixtures: experts of each class, the dummy not counted.
        dropout: the share of the encoding that is dropped before the head (docs/paper.md, row 16).
        base_rates: whether each class begins at its share of the training videos, by the bias.
    """

    def __init__(
        self,
        width: int,
        classes: int,
        *,
        mixtures: int = 2,
        dropout: float = 0.5,
        base_rates: bool = False,
    ) -> None:
        super().__init__()
        if mixtures < 1:
            raise ConfigError([f"head moe: mixtures={mixtures} is not at least 1"])
        refuse(not_a_share("head moe", dropout=dropout))
        self.classes, self.mixtures, self.dropout = classes, mixtures, dropout
        self.base_rates = base_rates
        self.gates = nn.Linear(width, classes * (mixtures + 1), bias=False)
        self.experts = nn.Linear(width, classes * mixtures)
        for linear in (self.gates, self.experts):
            nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(self.experts.bias)

    def forward(self, summary: Tensor) -> Tensor:
        """Returns log p - log(1 - p), in float32 or better, finite however large the inputs are."""
        summary = dropout(summary, self.dropout, self.training)
        return mixture_logits(self.gates(summary), self.experts(summary), self.classes)

    def start_from(self, rates: Tensor) -> None:
        """Sets the experts' bias if `base_rates` asks for it, as if all gates were even."""
        if self.base_rates:
            begin_mixture_at(self.experts.bias, rates)


@hookimpl
def heads() -> dict[str, type[Head]]:
    """Offers `moe`."""
    return {"moe": MixtureOfExperts}
