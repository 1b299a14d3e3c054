"""Logistic regression: one logit a class, linear in the encoding."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import dropout

from distillbench import hookimpl
from distillbench.interfaces import Head
from distillbench_plugins.layers.base_rates import begin_at
from distillbench_plugins.layers.knobs import not_a_share, refuse


class Logistic(Head):
    """Logistic regression, the paper's "sigmoid neuron" (docs/paper.md, row 9).

    Glorot-uniform, zero bias.

    Knobs:
        dropout: the share of the encoding that is dropped before the head (docs/paper.md, row 16).
        base_rates: whether each class begins at its share of the training videos, by the bias.
    """

    def __init__(
        self, width: int, classes: int, *, dropout: float = 0.5, base_rates: bool = False
    ) -> None:
        super().__init__()
        refuse(not_a_share("head logistic", dropout=dropout))
        self.dropout, self.base_rates = dropout, base_rates
        self.linear = nn.Linear(width, classes)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, summary: Tensor) -> Tensor:
        """Returns the logits (B, C)."""
        logits: Tensor = self.linear(dropout(summary, self.dropout, self.training))
        return logits

    def start_from(self, rates: Tensor) -> None:
        """Sets the bias if `base_rates` asks for it."""
        if self.base_rates:
            begin_at(self.linear.bias, rates)


@hookimpl
def heads() -> dict[str, type[Head]]:
    """Offers `logistic`."""
    return {"logistic": Logistic}
