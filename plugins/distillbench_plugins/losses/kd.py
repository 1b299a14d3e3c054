"""Knowledge distillation from softened class probabilities (arXiv 1503.02531)."""

from __future__ import annotations

from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.divergence import softened_divergence
from distillbench_plugins.layers.knobs import require_positive
from distillbench_plugins.layers.precision import wide_pair


class KnowledgeDistillation(MatchingLoss):
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), batch mean (arXiv 1503.02531).

    On multi-label data a softmax teaches the ranking of the classes alone, not whether each is
    there. Frames play no part: student and teacher give one row of logits a video each.

    Knobs:
        temperature: T, above 0.
    """

    requirements = Requirements(
        frozenset({"logits"}),
        valid_for=frozenset({"single-label"}),
        claims=frozenset({"batch-mean", "least-at-match", "any-width"}),
    )

    def __init__(self, context: LossContext, *, temperature: float = 4.0) -> None:
        super().__init__(context)
        require_positive("loss kd", temperature=temperature)
        self.temperature = temperature

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(output.logits, teacher.logits)
        return softened_divergence(ours, theirs, self.temperature)


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `kd`."""
    return {"kd": KnowledgeDistillation}
