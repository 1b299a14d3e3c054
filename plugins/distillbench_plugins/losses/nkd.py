"""Normalized knowledge distillation (arXiv 2303.13005)."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.knobs import require_positive
from distillbench_plugins.layers.precision import wide_pair


class NormalizedDistillation(MatchingLoss):
    """Soft loss of the target class, and cross-entropy of the others normalized to 1, batch mean.

    -T_t log S_t - gamma lambda^2 sum over the others of N(T) log N(S), with probabilities at
    temperature lambda in the second term (arXiv 2303.13005, eq. 6 and 7). It needs the one class of
    a video, so data with several labels a video is refused. Frames play no part.

    Knobs:
        gamma: weight of the other classes.
        temperature: lambda, above 0.
    """

    requirements = Requirements(
        frozenset({"labels", "hard-labels", "logits"}),
        valid_for=frozenset({"single-label"}),
        claims=frozenset({"batch-mean", "any-width"}),
        refused_for=frozenset({"multi-label"}),
    )

    def __init__(
        self, context: LossContext, *, gamma: float = 1.5, temperature: float = 1.0
    ) -> None:
        super().__init__(context)
        require_positive("loss nkd", temperature=temperature)
        self.gamma, self.temperature = gamma, temperature

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(output.logits, teacher.logits)
        target = batch.labels.argmax(1, keepdim=True)
        soft = theirs.softmax(1).gather(1, target) * ours.log_softmax(1).gather(1, target)
        is_other = torch.ones_like(ours, dtype=torch.bool).scatter(1, target, False)
        student, reference = (
            (logits[is_other].view(len(ours), -1) / self.temperature).log_softmax(1)
            for logits in (ours, theirs)
        )
        others = (reference.exp() * student).sum(1)
        return -(soft[:, 0] + self.gamma * self.temperature**2 * others).mean()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `nkd`."""
    return {"nkd": NormalizedDistillation}
