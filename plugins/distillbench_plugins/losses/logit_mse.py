"""Match of the logits themselves (Ba and Caruana, arXiv 1312.6184)."""

from __future__ import annotations

from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.precision import wide_pair


class LogitMatch(MatchingLoss):
    """Half the squared distance of the logits, summed over C, batch mean (arXiv 1312.6184, eq. 1).

    On multi-label data every logit is a class's own log-odds, so each class is matched by itself.
    Frames play no part: student and teacher give one row of logits a video each.
    """

    requirements = Requirements(
        frozenset({"logits"}), claims=frozenset({"batch-mean", "least-at-match", "any-width"})
    )

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(output.logits, teacher.logits)
        return (ours - theirs).square().sum(1).mean() / 2


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `logit-mse`."""
    return {"logit-mse": LogitMatch}
