"""Regression of the teacher's encoding, FitNets (arXiv 1412.6550)."""

from __future__ import annotations

from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.precision import wide_pair
from distillbench_plugins.layers.projection import projection


class Hint(MatchingLoss):
    """Mean squared error of the projected encoding (arXiv 1412.6550, eq. 3).

    Mean over the batch and over E, as published codes have it; the paper's is half the sum over E.
    The projection is linear, learned with the student, and left out where the widths are equal.
    The encoding is one row a video, so labels and frames play no part.
    """

    requirements = Requirements(
        frozenset({"summary"}), claims=frozenset({"batch-mean", "least-at-match", "any-width"})
    )

    def __init__(self, context: LossContext) -> None:
        super().__init__(context)
        self.projection = projection(context)

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(self.projection(output.encoding.summary), teacher.encoding.summary)
        return (ours - theirs).square().mean()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `hint`."""
    return {"hint": Hint}
