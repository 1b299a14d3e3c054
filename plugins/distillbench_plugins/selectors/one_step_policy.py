"""Frames that a policy draws in one step (arXiv 2201.04388)."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import ClipGenerator, Clips, LearnedSelector, Selection
from distillbench_plugins.layers.frame_choice import best, evenly, every, first_of, require_stride
from distillbench_plugins.layers.frame_scores import FrameScores, gumbel


class OneStepPolicy(LearnedSelector):
    """Draws all k frames in one step in training, and learns from a reward.

    OCSampler's policy (arXiv 2201.04388, section 3.3): frames are drawn without replacement from
    the softmax of their scores, and in evaluation the k likeliest are taken. It learns from a loss
    that reads `log_prob`, that of the frames in the order drawn, such as `reinforce`; its baseline
    is the uniform sample of its candidates. It reads M = N / stride frames (D,) whole and keeps k
    of them. Scores know no classes, so several labels share one policy.

    Knobs:
        hidden: width of the hidden layer.
        stride: every stride-th frame is read and can be chosen.
    """

    def __init__(self, width: int, k: int, *, hidden: int = 128, stride: int = 1) -> None:
        super().__init__()
        require_stride("one-step-policy", stride)
        self.k, self.stride = k, stride
        self.score = FrameScores("one-step-policy", width, hidden)

    def candidates(self, lengths: Tensor) -> Tensor:
        """Returns every stride-th frame (B, M)."""
        return every(lengths, self.stride)

    def forward(self, candidates: Clips, generator: ClipGenerator) -> Selection:
        """Draws frames in training; in evaluation chooses the likeliest."""
        scores, lengths = self.score(candidates), candidates.lengths
        if not self.training:
            return Selection(best(scores, lengths, self.k), scores=scores)
        count, real = lengths.clamp_max(self.k), candidates.mask()
        noisy = gumbel(scores.detach(), generator).masked_fill(~real, -torch.inf)
        order = noisy.argsort(dim=1, descending=True, stable=True)
        return Selection(
            first_of(order, count),
            log_prob=_log_prob(scores, real, order, count),
            scores=scores,
            baseline=evenly(lengths, self.k),
        )


def _log_prob(scores: Tensor, real: Tensor, order: Tensor, count: Tensor) -> Tensor:
    """Returns the log-probability (B,) of drawing the first `count` of each row in this order."""
    ordered = scores.masked_fill(~real, torch.finfo(scores.dtype).min / 4).gather(1, order)
    # What is left before each draw is what comes later in the order, itself included.
    left = ordered.flip(1).logcumsumexp(1).flip(1)
    drawn = (torch.arange(order.shape[1]) < count[:, None]).to(scores.device)
    return (ordered - left).masked_fill(~drawn, 0.0).sum(1).clamp_max(0.0)


@hookimpl
def learned_selectors() -> dict[str, type[LearnedSelector]]:
    """Offers `one-step-policy`."""
    return {"one-step-policy": OneStepPolicy}
