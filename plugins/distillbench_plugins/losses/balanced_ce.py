"""Cross-entropy in which rare classes weigh more (arXiv 1901.05555)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from distillbench import hookimpl
from distillbench.errors import ConfigError, NotApplicableError
from distillbench.interfaces import LabelLoss, LossBatch, LossContext, Output, Requirements
from distillbench_plugins.layers.precision import wide


class BalancedCrossEntropy(LabelLoss):
    """Cross-entropy with the labels, each class weighed by (1 - beta) / (1 - beta^n).

    n is the number of training videos that have the class; the weights are scaled to sum to C
    (arXiv 1901.05555, eq. 2). One sigmoid a class, summed over classes, batch mean.
    The paper weighs a single-label video by its class; with several labels each class's summand has
    the weight of that class. A class without videos weighs as one with a single video. Frames play
    no part.

    Knobs:
        beta: 0 for equal weights, towards 1 for weights inverse to n; within [0, 1).
    """

    requirements = Requirements(
        frozenset({"labels", "logits"}), claims=frozenset({"batch-mean", "any-width"})
    )
    weights: Tensor

    def __init__(self, context: LossContext, *, beta: float = 0.999) -> None:
        super().__init__(context)
        if not 0.0 <= beta < 1.0:
            raise ConfigError([f"loss balanced-ce: beta={beta} is not within [0, 1)"])
        if not context.positives:
            raise NotApplicableError(["loss balanced-ce needs to know how frequent each class is"])
        counts = torch.tensor(context.positives, dtype=torch.float64).clamp_min(1)
        weights = (1 - beta) / (1 - beta**counts)
        self.register_buffer("weights", weights * len(counts) / weights.sum(), persistent=False)

    def forward(self, output: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        logits = wide(output.logits)
        return binary_cross_entropy_with_logits(
            logits,
            batch.labels.to(logits.dtype),
            self.weights.to(logits),
            reduction="sum",
        ) / len(logits)


@hookimpl
def label_losses() -> dict[str, type[LabelLoss]]:
    """Offers `balanced-ce`."""
    return {"balanced-ce": BalancedCrossEntropy}
