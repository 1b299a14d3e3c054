"""Knowledge distillation by partial softmaxes (Song et al., ACM MM 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.knobs import require_positive
from distillbench_plugins.layers.precision import wide_pair

_NOWHERE = -1e30
"""The logit of a class that takes no part: finite, so that a row of them has a gradient."""


class PartialSoftmax(MatchingLoss):
    """T^2 KL of a softmax for each label of a video: over that label and all classes it lacks.

    Summed over the video's labels, batch mean (Song et al., "Handling Difficult Labels for
    Multi-label Image Classification via Uncertainty Distillation", ACM MM 2021). Labels of one
    video do not compete with each other, which is what `kd` gets wrong on multi-label data; a video
    without labels adds nothing, and on single-label data it is `kd`. Frames play no part.

    Knobs:
        temperature: T, above 0; the paper has 1.
    """

    requirements = Requirements(
        frozenset({"hard-labels", "labels", "logits"}),
        claims=frozenset({"batch-mean", "least-at-match", "any-width"}),
    )

    def __init__(self, context: LossContext, *, temperature: float = 1.0) -> None:
        super().__init__(context)
        require_positive("loss psm", temperature=temperature)
        self.temperature = temperature

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better; time and memory are O(B C)."""
        ours, theirs = wide_pair(output.logits, teacher.logits)
        ours, theirs = ours / self.temperature, theirs / self.temperature
        has = batch.labels > 0
        student, target = ours.masked_fill(has, _NOWHERE), theirs.masked_fill(has, _NOWHERE)
        lacked, lacked_target = (
            student.logsumexp(1, keepdim=True),
            target.logsumexp(1, keepdim=True),
        )
        total, total_target = torch.logaddexp(lacked, ours), torch.logaddexp(lacked_target, theirs)
        apart = theirs - ours
        of_lacked = (target.softmax(1) * apart.masked_fill(has, 0.0)).sum(1, keepdim=True)
        divergence = (
            (theirs - total_target).exp() * apart
            + (lacked_target - total_target).exp() * of_lacked
            + (total - total_target)
        )
        return self.temperature**2 * divergence.masked_fill(~has, 0.0).sum() / len(ours)


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `psm`."""
    return {"psm": PartialSoftmax}
