"""Match of the final encodings."""

from __future__ import annotations

from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.precision import wide_pair


class Representation(MatchingLoss):
    """Squared distance of the student's encoding from the teacher's, L_rep.

    Summed over E, batch mean.

    The paper's, docs/paper.md, section 2.
    """

    requirements = Requirements(
        frozenset({"summary", "equal-widths"}), claims=frozenset({"batch-mean", "least-at-match"})
    )

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns the mean over the batch, in float32 or better."""
        ours, theirs = wide_pair(output.encoding.summary, teacher.encoding.summary)
        return (ours - theirs).square().sum(1).mean()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `rep`."""
    return {"rep": Representation}
