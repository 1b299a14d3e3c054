"""Frames drawn by Gumbel noise, with a gradient straight through (arXiv 1903.06059, 1901.10517)."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import ClipGenerator, Clips, LearnedSelector, Selection
from distillbench_plugins.layers.frame_choice import best, every, require_stride
from distillbench_plugins.layers.frame_scores import FrameScores, gumbel
from distillbench_plugins.layers.knobs import require_positive


class GumbelTopK(LearnedSelector):
    """Draws k frames without replacement in training, and learns through the encoder.

    The k highest of scores with Gumbel noise are a sample without replacement (arXiv 1903.06059,
    section 2). A kept frame's weight is 1, and its gradient that of its relaxed share among k
    successive softmaxes (arXiv 1901.10517, eq. 8 and 9). In evaluation the k highest scores win.
    It reads M = N / stride frames (D,) whole and keeps k of them. Any loss of the student trains
    it, whatever the labels; it learns little where the kept frames leave no loss to lower.

    Knobs:
        temperature: of the softmaxes, above 0.
        hidden: width of the hidden layer.
        stride: every stride-th frame is read and can be chosen.
    """

    def __init__(
        self,
        width: int,
        k: int,
        *,
        temperature: float = 0.5,
        hidden: int = 128,
        stride: int = 1,
    ) -> None:
        super().__init__()
        require_stride("gumbel", stride)
        require_positive("selector gumbel", temperature=temperature)
        self.k, self.stride, self.temperature = k, stride, temperature
        self.score = FrameScores("gumbel", width, hidden)

    def candidates(self, lengths: Tensor) -> Tensor:
        """Returns every stride-th frame (B, M)."""
        return every(lengths, self.stride)

    def forward(self, candidates: Clips, generator: ClipGenerator) -> Selection:
        """Draws frames in training; in evaluation chooses the best."""
        scores = self.score(candidates)
        if not self.training:
            return Selection(best(scores, candidates.lengths, self.k), scores=scores)
        noisy = gumbel(scores, generator)
        index = best(noisy.detach(), candidates.lengths, self.k)
        share = self._relaxed(noisy.masked_fill(~candidates.mask(), -torch.inf))
        kept = share.gather(1, index.clamp_min(0))
        return Selection(index, 1.0 + (kept - kept.detach()), scores=scores)

    def _relaxed(self, noisy: Tensor) -> Tensor:
        """Returns the relaxed share (B, M) of each candidate among the k highest."""
        total = torch.zeros_like(noisy)
        for _ in range(min(self.k, noisy.shape[1])):
            share = (noisy / self.temperature).softmax(1)
            total = total + share
            noisy = noisy + torch.log1p(-share.clamp_max(1 - 1e-6))
        return total


@hookimpl
def learned_selectors() -> dict[str, type[LearnedSelector]]:
    """Offers `gumbel`."""
    return {"gumbel": GumbelTopK}
