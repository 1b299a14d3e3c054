"""Relational knowledge distillation (arXiv 1904.05068)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, smooth_l1_loss

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.precision import wide_pair


class Relations(MatchingLoss):
    """Huber losses of the batch's distances and angles (arXiv 1904.05068, eq. 5 to 9).

    Distances are divided by their mean over the pairs of different videos; angles are cosines over
    all triples. The paper sums over pairs and triples; as in its authors' code this is the mean
    over all B^2 and B^3, so that the weights do not depend on the batch. Published weights are 25
    and 50, that is 1 to 2. Widths may differ. Labels and frames play no part.

    Knobs:
        distance: weight of the distances; 0 leaves them out.
        angle: weight of the angles; 0 leaves them out, and their B^3 numbers.
    """

    requirements = Requirements(
        frozenset({"summary", "batch"}), claims=frozenset({"least-at-match", "any-width"})
    )

    def __init__(self, context: LossContext, *, distance: float = 1.0, angle: float = 2.0) -> None:
        super().__init__(context)
        self.distance, self.angle = distance, angle

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(output.encoding.summary, teacher.encoding.summary)
        total = ours.new_zeros(())
        if self.distance:
            total = total + self.distance * smooth_l1_loss(_distances(ours), _distances(theirs))
        if self.angle:
            total = total + self.angle * smooth_l1_loss(_angles(ours), _angles(theirs))
        return total


def _distances(encodings: Tensor) -> Tensor:
    """Distances (B, B), divided by their mean over the pairs of different videos."""
    squares = (encodings[:, None] - encodings[None]).square().sum(2)
    apart = squares > 0
    # The root of 0 has no finite gradient, so equal encodings are left out of it.
    found = torch.where(apart, squares, 1.0).sqrt() * apart
    return found / (found.sum() / apart.sum().clamp_min(1)).clamp_min(1e-12)


def _angles(encodings: Tensor) -> Tensor:
    """Cosines (B, B, B) of the angle at each video between every two others."""
    apart = encodings[None] - encodings[:, None]
    unit = normalize(apart, dim=2)
    return unit @ unit.transpose(1, 2)


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `rkd`."""
    return {"rkd": Relations}
