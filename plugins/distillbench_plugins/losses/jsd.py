"""Match of the predictions by the Jensen-Shannon divergence (Lin, 1991)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.knobs import require_positive
from distillbench_plugins.layers.precision import wide_pair


class JensenShannon(MatchingLoss):
    """T^2 (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2, in nats, batch mean.

    Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Trans. Inf. Theory 1991, eq. 4.1,
    with equal weights. It is symmetric and at most log 2, so that a teacher that is sure and wrong
    does not count without limit. Frames play no part.

    Knobs:
        form: sigmoid, each class by itself and summed over classes, as multi-label data asks;
            softmax, over the classes.
        temperature: T, above 0.
    """

    requirements = Requirements(
        frozenset({"logits"}), claims=frozenset({"batch-mean", "least-at-match", "any-width"})
    )

    def __init__(
        self,
        context: LossContext,
        *,
        form: Literal["sigmoid", "softmax"] = "sigmoid",
        temperature: float = 1.0,
    ) -> None:
        super().__init__(context)
        require_positive("loss jsd", temperature=temperature)
        self.form, self.temperature = form, temperature

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(output.logits, teacher.logits)
        student, target = ours / self.temperature, theirs / self.temperature
        if self.form == "softmax":
            apart = _divergence(student.log_softmax(1), target.log_softmax(1))
        else:
            apart = _divergence(logsigmoid(student), logsigmoid(target))
            apart = apart + _divergence(logsigmoid(-student), logsigmoid(-target))
        return self.temperature**2 * apart.sum() / len(ours)


def _divergence(ours: Tensor, theirs: Tensor) -> Tensor:
    """Returns the summands of one set of outcomes, from logarithms of probabilities."""
    middle = torch.logaddexp(ours, theirs) - torch.log(ours.new_tensor(2.0))
    return (ours.exp() * (ours - middle) + theirs.exp() * (theirs - middle)) / 2


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `jsd`."""
    return {"jsd": JensenShannon}
