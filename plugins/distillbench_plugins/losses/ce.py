"""Cross-entropy with the labels."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from distillbench import hookimpl
from distillbench.interfaces import LabelLoss, LossBatch, LossContext, Output, Requirements
from distillbench_plugins.layers.knobs import outside, refuse
from distillbench_plugins.layers.precision import wide


class CrossEntropy(LabelLoss):
    """Cross-entropy with the labels, L_CE: one sigmoid a class, summed over classes, batch mean.

    The paper's, docs/paper.md, section 2.

    Knobs:
        label_smoothing: s moves every label towards a half: y becomes (1 - s) y + s / 2.
    """

    requirements = Requirements(
        frozenset({"labels", "logits"}), claims=frozenset({"batch-mean", "any-width"})
    )
    default_for = frozenset({"multi-label"})

    def __init__(self, context: LossContext, *, label_smoothing: float = 0.0) -> None:
        super().__init__(context)
        refuse(outside("loss ce", 0, 1, label_smoothing=label_smoothing))
        self.label_smoothing = label_smoothing

    def forward(self, output: Output, batch: LossBatch) -> Tensor:
        """Returns the mean over the batch, in float32 or better."""
        logits = wide(output.logits)
        targets = batch.labels.to(logits.dtype)
        if self.label_smoothing:
            targets = targets * (1.0 - self.label_smoothing) + self.label_smoothing / 2
        return binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(logits)


@hookimpl
def label_losses() -> dict[str, type[LabelLoss]]:
    """Offers `ce`."""
    return {"ce": CrossEntropy}
