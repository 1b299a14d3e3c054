"""A selector that draws its frames and is trained by the reward of what it drew."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from distillbench import hookimpl
from distillbench.interfaces import (
    NO_FRAME,
    ClipGenerator,
    Clips,
    LabelLoss,
    LearnedSelector,
    LossBatch,
    LossContext,
    Output,
    Requirements,
    Selection,
)


class Sampler(LearnedSelector):
    """Draws k frames without replacement in training (Gumbel top-k), and takes the k likeliest in evaluation."""

    def __init__(self, width: int, k: int) -> None:
        super().__init__()
        self.k, self.score = k, nn.Linear(width, 1, bias=False)

    def candidates(self, lengths: Tensor) -> Tensor:
        """Returns every frame."""
        index = torch.arange(int(lengths.max())).expand(len(lengths), -1)
        return torch.where(index < lengths[:, None], index, NO_FRAME)

    def forward(self, candidates: Clips, generator: ClipGenerator) -> Selection:
        """Draws frames, and returns the logarithm of their probability."""
        real = candidates.mask()
        scores = self.score(candidates.frames)[..., 0].float().masked_fill(~real, -1e9)
        ranked = scores
        if self.training:
            drawn = generator.rand(scores.shape[1]).to(scores).clamp(1e-6, 1 - 1e-6)
            ranked = scores - (-drawn.log()).log()
        drawn = ranked.masked_fill(~real, -1e9).topk(min(self.k, scores.shape[1]), 1).indices
        kept = real.gather(1, drawn)
        # The probability of drawing them in this order, one after the other, from those that are left.
        left = scores.logsumexp(1, keepdim=True).exp() - torch.cat(
            [torch.zeros_like(scores[:, :1]), scores.exp().gather(1, drawn).cumsum(1)[:, :-1]], 1
        )
        each = scores.gather(1, drawn) - left.clamp_min(1e-9).log()
        log_prob = (each * kept).sum(1).clamp_max(0.0)
        order = torch.where(kept, drawn, drawn + 10**6).sort(1).values
        index = torch.where(order < 10**6, order, NO_FRAME)
        return Selection(index, log_prob=log_prob)


class PolicyGradient(LabelLoss):
    """REINFORCE: the reward of a choice is how well the labels are predicted, against the batch's mean."""

    requirements = Requirements(
        frozenset({"labels", "logits", "selection", "batch"}), claims=frozenset({"any-width"})
    )

    def __init__(self, context: LossContext) -> None:
        super().__init__(context)

    def forward(self, output: Output, batch: LossBatch) -> Tensor:
        """Returns the mean over the batch."""
        logits = output.logits.detach().float()
        cost = binary_cross_entropy_with_logits(logits, batch.labels.float(), reduction="none").sum(
            1
        )
        advantage = cost.mean() - cost
        if output.selection is None or output.selection.log_prob is None:
            return 0.0 * output.logits.sum()
        return -(advantage * output.selection.log_prob.float()).mean()


@hookimpl
def learned_selectors() -> dict[str, type[LearnedSelector]]:
    """Offers `sampler`."""
    return {"sampler": Sampler}


@hookimpl
def label_losses() -> dict[str, type[LabelLoss]]:
    """Offers `policy-gradient`."""
    return {"policy-gradient": PolicyGradient}
