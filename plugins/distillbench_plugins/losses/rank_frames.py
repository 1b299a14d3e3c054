"""A ranking of frames by what they say to a teacher (arXiv 1904.04289)."""

from __future__ import annotations

from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.frame_evidence import Form, candidates_of, likelihood
from distillbench_plugins.layers.knobs import require_positive


class RankFrames(MatchingLoss):
    """Hinge loss of a selector's scores over pairs of frames, as the teacher ranks them.

    SCSampler's SAL-RANK (arXiv 1904.04289, section 3.3): frame i is more salient than j where the
    teacher, shown each alone, gives the label a higher probability; the loss is max(0, margin - s_i
    + s_j), mean over such pairs of a video's candidates and over the batch. On multi-label data it
    is the mean probability of a video's labels; a video without labels has no pairs. Scores are
    (B, M) of the M frames that the selector reads of N, of which the teacher must see some.

    Knobs:
        margin: above 0.
        form: `sigmoid` takes each class on its own, `softmax` one class among all.
    """

    requirements = Requirements(
        frozenset({"labels", "selection", "frame-logits"}),
        claims=frozenset({"batch-mean", "any-width"}),
    )

    def __init__(
        self, context: LossContext, *, margin: float = 1.0, form: Form = "sigmoid"
    ) -> None:
        super().__init__(context)
        require_positive("loss rank-frames", margin=margin)
        self.margin = margin
        self.form: Form = form

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        scores, logits, both = candidates_of(output, teacher, "rank-frames")
        evidence = likelihood(logits, batch.labels[:, None].to(logits.dtype), self.form)
        better = evidence[:, :, None] > evidence[:, None, :]
        better = better & both[:, :, None] & both[:, None, :]
        hinge = (self.margin - scores[:, :, None] + scores[:, None, :]).clamp_min(0.0)
        pairs = better.sum((1, 2)).clamp_min(1)
        return ((hinge * better).sum((1, 2)) / pairs).mean()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `rank-frames`."""
    return {"rank-frames": RankFrames}
