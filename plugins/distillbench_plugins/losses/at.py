"""Attention transfer, over time (arXiv 1612.03928)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.alignment import at_the_same_frames, shared_layer
from distillbench_plugins.layers.knobs import require_positive


class AttentionTransfer(MatchingLoss):
    """Squared distance of attention over time, mean over a video's frames, batch mean.

    Attention is the sum over the width of |state|^power after each frame, scaled to length 1 over
    the frames (arXiv 1612.03928, eq. 1 and 2, as its authors' code has it: squared and averaged).
    The teacher's states are those after the student's k frames, so widths may differ and the k
    frames alone compete for attention. Labels play no part.

    Knobs:
        power: of the states' size, above 0.
    """

    requirements = Requirements(
        frozenset({"states"}), claims=frozenset({"batch-mean", "least-at-match", "any-width"})
    )

    def __init__(self, context: LossContext, *, power: float = 2.0) -> None:
        super().__init__(context)
        require_positive("loss at", power=power)
        self.power = power
        self.layer = shared_layer(context, "loss at")

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        student, target = output.encoding.states[self.layer], teacher.encoding.states[self.layer]
        ours, theirs, both = at_the_same_frames(student, target)
        distance = (self._attention(ours) - self._attention(theirs)).square() * both
        return (distance.sum(1) / both.sum(1).clamp_min(1)).mean()

    def _attention(self, states: Tensor) -> Tensor:
        if self.power == 2:  # |x|^2 has a gradient of 0 at 0, abs and pow together may have none
            return normalize(states.square().sum(2), dim=1)
        return normalize(states.abs().clamp_min(1e-12).pow(self.power).sum(2), dim=1)


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `at`."""
    return {"at": AttentionTransfer}
