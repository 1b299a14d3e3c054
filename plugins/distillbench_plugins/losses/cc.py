"""Correlation congruence (arXiv 1904.01802)."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import normalize

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.knobs import not_positive, refuse, wrong_counts
from distillbench_plugins.layers.precision import wide_pair


class CorrelationCongruence(MatchingLoss):
    """Squared distance of the batch's kernel matrices, over B^2 (arXiv 1904.01802, eq. 4 to 9).

    The kernel is the Taylor series of exp(-gamma |x - y|^2) for encodings of length 1:
    exp(-2 gamma) times the sum over p of (2 gamma x.y)^p / p!. Published codes compare neighbors of
    the batch instead; this is the paper's. Widths may differ. Labels and frames play no part.

    Knobs:
        gamma: width of the kernel, above 0.
        order: the highest power of the series, at least 1.
    """

    requirements = Requirements(
        frozenset({"summary", "batch"}),
        claims=frozenset({"batch-mean", "least-at-match", "any-width"}),
    )

    def __init__(self, context: LossContext, *, gamma: float = 0.4, order: int = 2) -> None:
        super().__init__(context)
        problems = not_positive("loss cc", gamma=gamma)
        refuse([*problems, *wrong_counts("loss cc", order=(order, 1, 20))])
        self.gamma, self.order = gamma, order

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(output.encoding.summary, teacher.encoding.summary)
        return (self._kernel(ours) - self._kernel(theirs)).square().mean()

    def _kernel(self, encodings: Tensor) -> Tensor:
        unit = normalize(encodings, dim=1)
        products = 2 * self.gamma * (unit @ unit.T)
        total = products.new_zeros(products.shape)
        for power in range(self.order + 1):
            total = total + products**power / math.factorial(power)
        return math.exp(-2 * self.gamma) * total


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `cc`."""
    return {"cc": CorrelationCongruence}
