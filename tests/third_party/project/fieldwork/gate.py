"""A selector that is trained through the encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distillbench import hookimpl
from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, LearnedSelector, Selection


class Gate(LearnedSelector):
    """A linear score ranks every second frame; the k best are kept, with a straight-through gradient.

    Knobs:
        stride: it looks at every so many-th frame.
    """

    def __init__(self, width: int, k: int, *, stride: int = 2) -> None:
        super().__init__()
        self.k, self.stride = k, stride
        self.score = nn.Linear(width, 1, bias=False)

    def candidates(self, lengths: Tensor) -> Tensor:
        """Returns every `stride`-th frame."""
        index = torch.arange(0, int(lengths.max()), self.stride).expand(len(lengths), -1)
        return torch.where(index < lengths[:, None], index, NO_FRAME)

    def forward(self, candidates: Clips, generator: ClipGenerator) -> Selection:
        """Keeps the candidates with the best scores."""
        real = candidates.mask()
        scores = self.score(candidates.frames)[..., 0].float().masked_fill(~real, -1e9)
        soft = scores.softmax(1)
        count = min(self.k, scores.shape[1])
        best = scores.topk(count, 1).indices.sort(1).values
        kept = real.gather(1, best)
        order = torch.where(kept, best, best + 10**6).sort(1).values  # frames that are none go last
        index = torch.where(order < 10**6, order, NO_FRAME)
        probability = soft.gather(1, index.clamp_min(0))
        weights = 1.0 + probability - probability.detach()
        return Selection(index, weights * (index >= 0))


@hookimpl
def learned_selectors() -> dict[str, type[LearnedSelector]]:
    """Offers `gate`."""
    return {"gate": Gate}
