"""Focal loss (arXiv 1708.02002)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from distillbench import hookimpl
from distillbench.interfaces import LabelLoss, LossBatch, LossContext, Output, Requirements
from distillbench_plugins.layers.knobs import outside, refuse
from distillbench_plugins.layers.precision import wide


class Focal(LabelLoss):
    """-alpha_t (1 - p_t)^gamma log p_t, one sigmoid a class, summed over classes, batch mean.

    p_t is the probability of what is true (arXiv 1708.02002, eq. 5), so that classes already
    decided count little. The paper divides by the number of positives; this does not, as `ce` does
    not. Labels of mixed videos are shares of both summands. Frames play no part.

    Knobs:
        gamma: how fast what is decided loses weight; 0 or more.
        alpha: weight of the labels that a video has, within [0, 1]; the others weigh 1 - alpha.
    """

    requirements = Requirements(
        frozenset({"labels", "logits"}), claims=frozenset({"batch-mean", "any-width"})
    )

    def __init__(self, context: LossContext, *, gamma: float = 2.0, alpha: float = 0.25) -> None:
        super().__init__(context)
        problems = outside("loss focal", 0, 100, gamma=gamma)
        refuse([*problems, *outside("loss focal", 0, 1, alpha=alpha)])
        self.gamma, self.alpha = gamma, alpha

    def forward(self, output: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        logits = wide(output.logits)
        labels = batch.labels.to(logits.dtype)
        has, lacks = logsigmoid(logits), logsigmoid(-logits)
        # (1 - p)^gamma as e^(gamma log(1 - p)): finite in value and gradient wherever logits are.
        wrong = self.alpha * labels * (self.gamma * lacks).exp() * has
        wrong = wrong + (1 - self.alpha) * (1 - labels) * (self.gamma * has).exp() * lacks
        return -wrong.sum() / len(logits)


@hookimpl
def label_losses() -> dict[str, type[LabelLoss]]:
    """Offers `focal`."""
    return {"focal": Focal}
