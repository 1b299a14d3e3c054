"""The policy gradient of a selector that draws its frames (arXiv 2201.04388)."""

from __future__ import annotations

from torch import Tensor

from distillbench import hookimpl
from distillbench.errors import NotApplicableError
from distillbench.interfaces import LabelLoss, LossBatch, LossContext, Output, Requirements
from distillbench_plugins.layers.frame_evidence import Form, likelihood
from distillbench_plugins.layers.precision import wide


class Reinforce(LabelLoss):
    """REINFORCE: how much better the labels are predicted from the drawn frames than from others.

    -(R(drawn) - R(baseline)) log p(drawn), batch mean; R is the mean probability of a video's
    labels, and the baseline is what the selector names, such as the uniform sample of OCSampler
    (arXiv 2201.04388, section 3.4); the paper's penalty for wrong predictions is left out, since
    multi-label data know no single right one. A selector without a baseline gets the plain reward.
    The value itself means nothing; its gradient is that of the expected reward. Rewards are (B,),
    each of k frames drawn of N.

    Knobs:
        form: `sigmoid` takes each class on its own, `softmax` one class among all.
    """

    requirements = Requirements(
        frozenset({"labels", "logits", "selection"}),
        claims=frozenset({"batch-mean", "any-width"}),
    )

    def __init__(self, context: LossContext, *, form: Form = "sigmoid") -> None:
        super().__init__(context)
        self.form: Form = form

    def forward(self, output: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        if output.selection is None or output.selection.log_prob is None:
            raise NotApplicableError(
                ["the loss 'reinforce' needs a selector with log_prob, which draws its frames"]
            )
        advantage = self._reward(output.logits, batch)
        if output.baseline is not None:
            advantage = advantage - self._reward(output.baseline, batch)
        return -(advantage * wide(output.selection.log_prob)).mean()

    def _reward(self, logits: Tensor, batch: LossBatch) -> Tensor:
        return likelihood(wide(logits.detach()), batch.labels, self.form)


@hookimpl
def label_losses() -> dict[str, type[LabelLoss]]:
    """Offers `reinforce`."""
    return {"reinforce": Reinforce}
