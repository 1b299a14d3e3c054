"""Frames that a light network ranks first (arXiv 1904.04289)."""

from __future__ import annotations

from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import ClipGenerator, Clips, LearnedSelector, Selection
from distillbench_plugins.layers.frame_choice import best, every, require_stride
from distillbench_plugins.layers.frame_scores import FrameScores


class Scorer(LearnedSelector):
    """The k frames that a light network ranks first, each seen alone.

    SCSampler's ranker (arXiv 1904.04289, section 3.1). It learns from a loss that reads its scores:
    `rank-frames`, the paper's, or `match-saliency`. It reads M = N / stride frames (D,) whole and
    keeps k of them. Scores know no classes, so several labels share one ranking.

    Knobs:
        hidden: width of the hidden layer.
        stride: every stride-th frame is read and can be chosen.
    """

    def __init__(self, width: int, k: int, *, hidden: int = 128, stride: int = 1) -> None:
        super().__init__()
        require_stride("scorer", stride)
        self.k, self.stride = k, stride
        self.score = FrameScores("scorer", width, hidden)

    def candidates(self, lengths: Tensor) -> Tensor:
        """Returns every stride-th frame (B, M)."""
        return every(lengths, self.stride)

    def forward(self, candidates: Clips, generator: ClipGenerator) -> Selection:
        """Chooses the best of the candidates, in training as in evaluation."""
        scores = self.score(candidates)
        return Selection(best(scores, candidates.lengths, self.k), scores=scores)


@hookimpl
def learned_selectors() -> dict[str, type[LearnedSelector]]:
    """Offers `scorer`."""
    return {"scorer": Scorer}
