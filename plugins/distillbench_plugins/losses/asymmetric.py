"""Asymmetric loss for multi-label classification (arXiv 2009.14119)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from distillbench import hookimpl
from distillbench.interfaces import LabelLoss, LossBatch, LossContext, Output, Requirements
from distillbench_plugins.layers.knobs import not_a_share, outside, refuse
from distillbench_plugins.layers.precision import wide


class Asymmetric(LabelLoss):
    """Focal loss whose easy classes without a label are forgotten, summed over classes, batch mean.

    -(1 - p)^gamma_has log p for a label, and -p_m^gamma_lacks log(1 - p_m) with
    p_m = max(p - margin, 0) for each class that a video lacks (arXiv 2009.14119, eq. 4 to 7). Made
    for multi-label data, where nearly all classes are lacking. Frames play no part.

    Knobs:
        gamma_has: how fast decided labels lose weight; 0 or more.
        gamma_lacks: the same for classes that a video lacks.
        margin: below this probability a lacking class counts nothing, within [0, 1).
    """

    requirements = Requirements(
        frozenset({"labels", "logits"}),
        valid_for=frozenset({"multi-label"}),
        claims=frozenset({"batch-mean", "any-width"}),
    )

    def __init__(
        self,
        context: LossContext,
        *,
        gamma_has: float = 0.0,
        gamma_lacks: float = 4.0,
        margin: float = 0.05,
    ) -> None:
        super().__init__(context)
        whose = "loss asymmetric"
        problems = outside(whose, 0, 100, gamma_has=gamma_has, gamma_lacks=gamma_lacks)
        refuse([*problems, *not_a_share(whose, margin=margin)])
        self.gamma_has, self.gamma_lacks, self.margin = gamma_has, gamma_lacks, margin

    def forward(self, output: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        logits = wide(output.logits)
        labels = batch.labels.to(logits.dtype)
        has, lacks = logsigmoid(logits), logsigmoid(-logits)
        wrong = labels * (self.gamma_has * lacks).exp() * has
        if self.margin:
            p = (logits.sigmoid() - self.margin).clamp_min(0.0)
            # From p = margin on, so 0^gamma is never asked for a gradient.
            weight = p.where(p > 0, 1.0).pow(self.gamma_lacks) * (p > 0)
            wrong = wrong + (1 - labels) * weight * (-p).log1p()
        else:
            wrong = wrong + (1 - labels) * (self.gamma_lacks * has).exp() * lacks
        return -wrong.sum() / len(logits)


@hookimpl
def label_losses() -> dict[str, type[LabelLoss]]:
    """Offers `asymmetric`."""
    return {"asymmetric": Asymmetric}
