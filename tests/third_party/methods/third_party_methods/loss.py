"""A learnt bridge between encodings of any widths."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements


class Bridge(MatchingLoss):
    """Squared distance of the teacher's encoding from a linear map of the student's, the map being learnt."""

    requirements: ClassVar[Requirements] = Requirements(
        frozenset({"summary"}), claims=frozenset({"batch-mean", "any-width"})
    )

    def __init__(self, context: LossContext) -> None:
        super().__init__(context)
        assert context.teacher is not None
        self.map = nn.Linear(context.student.summary, context.teacher.summary)

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns the batch mean."""
        theirs = teacher.encoding.summary.detach().float()
        return (self.map(output.encoding.summary).float() - theirs).square().sum(1).mean()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `bridge`."""
    return {"bridge": Bridge}
