"""Decoupled knowledge distillation (arXiv 2203.08679)."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.knobs import require_positive
from distillbench_plugins.layers.precision import wide_pair

_EXCLUDED = -1e4
"""What the target class's logit becomes: its probability is then 0 in every precision."""


class DecoupledDistillation(MatchingLoss):
    """alpha TCKD + beta NCKD, times T^2, batch mean (arXiv 2203.08679, eq. 7).

    TCKD compares the probability of the target class with that of all others together, NCKD the
    probabilities among the others alone. It needs the one class of a video, so data with several
    labels a video is refused. Frames play no part.

    Knobs:
        alpha: weight of the target class.
        beta: weight of the other classes.
        temperature: T, above 0.
    """

    requirements = Requirements(
        frozenset({"labels", "hard-labels", "logits"}),
        valid_for=frozenset({"single-label"}),
        claims=frozenset({"batch-mean", "least-at-match", "any-width"}),
        refused_for=frozenset({"multi-label"}),
    )

    def __init__(
        self,
        context: LossContext,
        *,
        alpha: float = 1.0,
        beta: float = 8.0,
        temperature: float = 4.0,
    ) -> None:
        super().__init__(context)
        require_positive("loss dkd", temperature=temperature)
        self.alpha, self.beta, self.temperature = alpha, beta, temperature

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(output.logits, teacher.logits)
        ours, theirs = ours / self.temperature, theirs / self.temperature
        target = batch.labels.argmax(1, keepdim=True)
        others = theirs.new_zeros(theirs.shape).scatter(1, target, _EXCLUDED)
        student = (ours + others).log_softmax(1)
        reference = (theirs + others).log_softmax(1)
        # The excluded class has probability 0 in both; its logarithms must not be multiplied.
        apart = (reference.exp() * (reference - student)).scatter(1, target, 0.0)
        ours_or_not = _binary(ours, target, others)
        theirs_or_not = _binary(theirs, target, others)
        binary = (theirs_or_not.exp() * (theirs_or_not - ours_or_not)).sum(1)
        total = self.alpha * binary + self.beta * apart.sum(1)
        return self.temperature**2 * total.mean()


def _binary(logits: Tensor, target: Tensor, others: Tensor) -> Tensor:
    """Logarithms (B, 2) of the probabilities of the target class and of all others together."""
    rest = (logits + others).logsumexp(1, keepdim=True)
    return torch.cat([logits.gather(1, target), rest], 1).log_softmax(1)


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `dkd`."""
    return {"dkd": DecoupledDistillation}
