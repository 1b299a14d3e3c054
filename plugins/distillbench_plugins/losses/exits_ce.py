"""Cross-entropy at every exit."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from distillbench import hookimpl
from distillbench.interfaces import LabelLoss, LossBatch, Output, Requirements
from distillbench_plugins.layers.precision import wide


class ExitsCrossEntropy(LabelLoss):
    """Cross-entropy with the labels at every exit and at the end, their mean.

    At each one sigmoid a class, summed over classes, batch mean, as `ce` (deep supervision, arXiv
    1409.5185; FrameExit, arXiv 2104.13400, section 3.3). An encoder without exits has the end
    alone.
    """

    requirements = Requirements(
        frozenset({"labels", "logits", "exits"}), claims=frozenset({"batch-mean", "any-width"})
    )

    def forward(self, output: Output, batch: LossBatch) -> Tensor:
        """Returns the mean over exits and batch, in float32 or better."""
        every = torch.stack([wide(output.logits), *map(wide, output.exits)])
        labels = batch.labels.to(every.dtype).expand_as(every)
        total = binary_cross_entropy_with_logits(every, labels, reduction="sum")
        return total / every[..., 0].numel()


@hookimpl
def label_losses() -> dict[str, type[LabelLoss]]:
    """Offers `exits-ce`."""
    return {"exits-ce": ExitsCrossEntropy}
