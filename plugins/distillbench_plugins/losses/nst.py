"""Match of neuron selectivity, NST (arXiv 1707.01219)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.alignment import at_the_same_frames, shared_layer
from distillbench_plugins.layers.unit_products import joint_product


class NeuronSelectivity(MatchingLoss):
    """Squared maximum mean discrepancy of the units' courses over time, batch mean.

    A unit's course is its states after the frames, scaled to length 1; the kernel is the square of
    the product (arXiv 1707.01219, eq. 4 and 8 with d = 2 and c = 0). The teacher's states are those
    after the student's k frames. Widths may differ. Labels play no part.
    """

    requirements = Requirements(
        frozenset({"states"}), claims=frozenset({"batch-mean", "least-at-match", "any-width"})
    )

    def __init__(self, context: LossContext) -> None:
        super().__init__(context)
        self.layer = shared_layer(context, "loss nst")

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs, _ = at_the_same_frames(
            output.encoding.states[self.layer], teacher.encoding.states[self.layer]
        )
        student, target = normalize(ours, dim=1), normalize(theirs, dim=1)
        return _kernel(target, target) + _kernel(student, student) - 2 * _kernel(student, target)


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    """The mean over videos and over pairs of units of the squared product of their courses."""
    squares = joint_product(first, first, second, second)
    return squares.mean() / (first.shape[2] * second.shape[2])


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `nst`."""
    return {"nst": NeuronSelectivity}
