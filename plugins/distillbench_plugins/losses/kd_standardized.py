"""Knowledge distillation from standardized logits (arXiv 2403.01427)."""

from __future__ import annotations

from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.divergence import softened_divergence
from distillbench_plugins.layers.knobs import require_positive
from distillbench_plugins.layers.precision import wide_pair

_EPSILON = 1e-7


class StandardizedDistillation(MatchingLoss):
    """T^2 KL between softmaxes of z-scored logits, batch mean (arXiv 2403.01427, algorithms 1, 2).

    Each row of logits is shifted to mean 0 and divided by its standard deviation (over C, not
    C - 1), so that the student need not copy the size of the teacher's logits. On multi-label data
    it teaches the ranking of the classes alone. Frames play no part.

    Knobs:
        temperature: T, above 0.
    """

    requirements = Requirements(
        frozenset({"logits"}),
        valid_for=frozenset({"single-label"}),
        claims=frozenset({"batch-mean", "least-at-match", "any-width"}),
    )

    def __init__(self, context: LossContext, *, temperature: float = 2.0) -> None:
        super().__init__(context)
        require_positive("loss kd-standardized", temperature=temperature)
        self.temperature = temperature

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(output.logits, teacher.logits)
        return softened_divergence(_standardized(ours), _standardized(theirs), self.temperature)


def _standardized(logits: Tensor) -> Tensor:
    centered = logits - logits.mean(1, keepdim=True)
    # The root is taken of a sum that is never 0, where its gradient would be infinite.
    deviation = (centered.square().mean(1, keepdim=True) + _EPSILON**2).sqrt()
    return centered / deviation


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `kd-standardized`."""
    return {"kd-standardized": StandardizedDistillation}
