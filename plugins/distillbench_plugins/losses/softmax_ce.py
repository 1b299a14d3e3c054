"""Cross-entropy with the one label of each video."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import log_softmax

from distillbench import hookimpl
from distillbench.interfaces import LabelLoss, LossBatch, LossContext, Output, Requirements
from distillbench_plugins.layers.knobs import outside, refuse
from distillbench_plugins.layers.precision import wide


class SoftmaxCrossEntropy(LabelLoss):
    """Cross-entropy with the label, one softmax over the classes, batch mean.

    Where a video has several labels each has an equal share.

    Knobs:
        label_smoothing: s moves the labels towards all classes alike: y becomes (1 - s) y + s / C.
    """

    requirements = Requirements(
        frozenset({"labels", "logits"}),
        valid_for=frozenset({"single-label"}),
        claims=frozenset({"batch-mean", "any-width"}),
    )
    default_for = frozenset({"single-label"})

    def __init__(self, context: LossContext, *, label_smoothing: float = 0.0) -> None:
        super().__init__(context)
        refuse(outside("loss softmax-ce", 0, 1, label_smoothing=label_smoothing))
        self.label_smoothing = label_smoothing

    def forward(self, output: Output, batch: LossBatch) -> Tensor:
        """Returns the mean over the batch, in float32 or better."""
        logits = wide(output.logits)
        labels = batch.labels.to(logits.dtype)
        targets = labels / labels.sum(1, keepdim=True).clamp_min(1.0)
        if self.label_smoothing:
            even = self.label_smoothing / logits.shape[1]
            targets = targets * (1.0 - self.label_smoothing) + even
        return -(targets * log_softmax(logits, 1)).sum() / len(logits)


@hookimpl
def label_losses() -> dict[str, type[LabelLoss]]:
    """Offers `softmax-ce`."""
    return {"softmax-ce": SoftmaxCrossEntropy}
