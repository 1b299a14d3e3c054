"""Match of the states of two networks that saw different numbers of frames."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import (
    NO_FRAME,
    LossBatch,
    LossContext,
    MatchingLoss,
    Output,
    Requirements,
    States,
)
from distillbench_plugins.layers.alignment import (
    at_the_same_frames,
    interpolated,
    means_since_the_last,
)
from distillbench_plugins.layers.knobs import require_positive
from distillbench_plugins.layers.precision import wide_pair
from distillbench_plugins.layers.soft_dtw import soft_dtw_divergence

_ALIGNED = {
    "gather": at_the_same_frames,
    "pool": means_since_the_last,
    "interpolate": interpolated,
}


class IntermediateRepresentation(MatchingLoss):
    """Squared distances of the student's states from the teacher's after the same frames, L_rep^I.

    The paper's, docs/paper.md, section 2 and row 21.

    The student's state at position p >= 1 is compared with the teacher's state after the same frame
    of the video; frames that the teacher did not see are left out. Summed over positions and
    widths, averaged over the batch, in addition to the match of the final encodings.

    Knobs:
        final: also match the final encodings, as `rep` does.
        alignment: which states are compared. gather, those after the same frame, as in the paper;
            pool, the mean of the teacher's states since the student's last frame; interpolate, the
            teacher's states at as many equal steps, wherever the frames were; soft-dtw, all of
            both, by the best warping of time (arXiv 2010.08354), position 0 included.
        gamma: how soft the warping is, above 0.
    """

    requirements = Requirements(
        frozenset({"summary", "states", "equal-widths"}),
        claims=frozenset({"batch-mean", "least-at-match"}),
    )

    def __init__(
        self,
        context: LossContext,
        *,
        final: bool = True,
        alignment: Literal["gather", "pool", "interpolate", "soft-dtw"] = "gather",
        gamma: float = 1.0,
    ) -> None:
        super().__init__(context)
        require_positive("loss rep-intermediate", gamma=gamma)
        self.final, self.alignment, self.gamma = final, alignment, gamma
        theirs = context.teacher.states if context.teacher else {}
        self.layer = next((name for name in context.student.states if name in theirs), "")

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns the mean over the batch, in float32 or better."""
        student, target = output.encoding, teacher.encoding
        total = self._of_states(student.states[self.layer], target.states[self.layer])
        if self.final:
            ours, theirs = wide_pair(student.summary, target.summary)
            total = total + (ours - theirs).square().sum()
        return total / len(student.summary)

    def _of_states(self, student: States, teacher: States) -> Tensor:
        if self.alignment == "soft-dtw":
            return self._warped(student, teacher)
        ours, theirs, _ = _ALIGNED[self.alignment](student, teacher)
        # From position 1 on, as the paper sums.
        return (ours[:, 1:] - theirs[:, 1:]).square().sum(2).sum()

    def _warped(self, student: States, teacher: States) -> Tensor:
        ours, theirs = wide_pair(student.values, teacher.values)
        lengths, their_lengths = (
            (each.times != NO_FRAME).sum(1).clamp_min(1) for each in (student, teacher)
        )
        return soft_dtw_divergence(ours, theirs, lengths, their_lengths, self.gamma).sum()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `rep-intermediate`."""
    return {"rep-intermediate": IntermediateRepresentation}
