"""Match of activation boundaries (arXiv 1811.03233)."""

from __future__ import annotations

from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.knobs import require_positive
from distillbench_plugins.layers.precision import wide_pair
from distillbench_plugins.layers.projection import projection


class ActivationBoundary(MatchingLoss):
    """Squared hinge on the sign of each unit of the encoding: summed over E, batch mean.

    A unit that is above 0 in the teacher is pushed above the margin, another below -margin
    (arXiv 1811.03233, eq. 4 and 5). The student's encoding is projected, linearly, where the widths
    differ. One row a video, so labels and frames play no part.

    Knobs:
        margin: how far from 0 a unit must be, above 0.
    """

    requirements = Requirements(
        frozenset({"summary"}), claims=frozenset({"batch-mean", "any-width"})
    )

    def __init__(self, context: LossContext, *, margin: float = 1.0) -> None:
        super().__init__(context)
        require_positive("loss ab", margin=margin)
        self.margin = margin
        self.projection = projection(context)

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(self.projection(output.encoding.summary), teacher.encoding.summary)
        active = theirs > 0
        too_low = (self.margin - ours).clamp_min(0).square() * active
        too_high = (self.margin + ours).clamp_min(0).square() * ~active
        return (too_low + too_high).sum(1).mean()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `ab`."""
    return {"ab": ActivationBoundary}
