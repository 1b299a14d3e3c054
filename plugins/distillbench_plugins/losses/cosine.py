"""Match of the direction of the encoding (arXiv 2210.15274)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cosine_similarity

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.precision import wide_pair
from distillbench_plugins.layers.projection import projection


class Cosine(MatchingLoss):
    """1 - the cosine of student's and teacher's encodings, batch mean (arXiv 2210.15274, eq. 4).

    Blind to the length of the encoding. The student's is projected, linearly, where the widths
    differ. The encoding is one row a video, so labels and frames play no part.
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
        return (1 - cosine_similarity(ours, theirs, dim=1)).mean()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `cosine`."""
    return {"cosine": Cosine}
