"""Cross-entropy with a mixture of the labels and the teacher's probabilities (arXiv 1706.05150)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.knobs import outside, refuse
from distillbench_plugins.layers.precision import wide_pair


class SoftLabels(MatchingLoss):
    """Sigmoid cross-entropy with l p_T + (1 - l) y, summed over classes, batch mean.

    How the winning entries of the YouTube-8M challenges distilled (arXiv 1706.05150, section 5).
    On single-label data each class counts as a label of its own. Frames play no part.

    Knobs:
        teacher_share: l, how much of the target is the teacher's, within [0, 1].
    """

    requirements = Requirements(
        frozenset({"labels", "logits"}),
        valid_for=frozenset({"multi-label"}),
        claims=frozenset({"batch-mean", "any-width"}),
    )

    def __init__(self, context: LossContext, *, teacher_share: float = 0.5) -> None:
        super().__init__(context)
        refuse(outside("loss soft-bce", 0, 1, teacher_share=teacher_share))
        self.teacher_share = teacher_share

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(output.logits, teacher.logits)
        labels = batch.labels.to(ours.dtype)
        target = self.teacher_share * theirs.sigmoid() + (1 - self.teacher_share) * labels
        return binary_cross_entropy_with_logits(ours, target, reduction="sum") / len(ours)


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `soft-bce`."""
    return {"soft-bce": SoftLabels}
