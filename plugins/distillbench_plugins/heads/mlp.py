"""A multilayer perceptron on the encoding."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from distillbench import hookimpl
from distillbench.interfaces import Head
from distillbench_plugins.layers.base_rates import begin_at
from distillbench_plugins.layers.knobs import not_a_share, refuse, wrong_counts


class MultilayerPerceptron(Head):
    """Hidden layers with GELU (arXiv 1606.08415) on the encoding, then one logit a class.

    Summary (B, E), logits (B, C). A class's probability is the logit's sigmoid on multi-label data,
    and the softmax's share where a video has one label. It reads the encoding alone, so k frames
    and N are the same to it.

    Knobs:
        size: width of each hidden layer.
        layers: how many hidden layers there are.
        dropout: the share of the encoding and of each hidden layer that is dropped in training.
        base_rates: whether each class begins at its share of the training videos, by the bias.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"size": 12}

    def __init__(
        self,
        width: int,
        classes: int,
        *,
        size: int = 1024,
        layers: int = 1,
        dropout: float = 0.5,
        base_rates: bool = False,
    ) -> None:
        super().__init__()
        problems = wrong_counts("head mlp", size=(size, 1, 65_536), layers=(layers, 1, 64))
        refuse([*problems, *not_a_share("head mlp", dropout=dropout)])
        widths = [width, *[size] * layers]
        parts: list[nn.Module] = [nn.Dropout(dropout)]
        for before, after in pairwise(widths):
            parts += [nn.Linear(before, after), nn.GELU(), nn.Dropout(dropout)]
        self.base_rates = base_rates
        self.layers = nn.Sequential(*parts, nn.Linear(size, classes))

    def forward(self, summary: Tensor) -> Tensor:
        """Returns the logits (B, C)."""
        logits: Tensor = self.layers(summary)
        return logits

    def start_from(self, rates: Tensor) -> None:
        """Sets the last bias if `base_rates` asks for it."""
        if self.base_rates:
            last = self.layers[-1]
            assert isinstance(last, nn.Linear)
            begin_at(last.bias, rates)


@hookimpl
def heads() -> dict[str, type[Head]]:
    """Offers `mlp`."""
    return {"mlp": MultilayerPerceptron}
