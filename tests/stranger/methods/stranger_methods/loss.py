"""A learnt bridge between encodings of any widths."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from distillbench import hookimpl
from distillbench.interfaces import MatchingLoss, Outcome, Passport, Shapes


class Bridge(MatchingLoss):
    """Squared distance of the teacher's encoding from a linear map of the student's, the map being learnt."""

    passport: ClassVar[Passport] = Passport(
        frozenset({"teacher", "summary"}), claims=frozenset({"batch-mean", "any-width"})
    )

    def __init__(self, student: Shapes, teacher: Shapes) -> None:
        super().__init__()
        self.map = nn.Linear(student.summary, teacher.summary)

    def forward(self, student: Outcome, teacher: Outcome | None, labels: Tensor) -> Tensor:
        """Returns the batch mean."""
        assert teacher is not None
        theirs = teacher.encoding.summary.detach().float()
        return (self.map(student.encoding.summary).float() - theirs).square().sum(1).mean()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `bridge`."""
    return {"bridge": Bridge}
