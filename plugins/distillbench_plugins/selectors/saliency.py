"""Frames that a small attention network, taught by the teacher, finds salient."""

from __future__ import annotations

from torch import Tensor, nn

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import ClipGenerator, Clips, LearnedSelector, Selection
from distillbench_plugins.layers.frame_choice import best, every, require_stride
from distillbench_plugins.layers.pooling import mean_over_frames


class Saliency(LearnedSelector):
    """The k frames with the highest attention, which depends on the frame and on the whole video.

    Scores are additive attention (arXiv 1409.0473, section A.1.2): v tanh(W frame + U mean), mean
    being that of the M frames that are read. It learns from a loss that reads its scores, such as
    `match-saliency`, which teaches them what the teacher finds salient. It reads M = N / stride
    frames (D,) whole and keeps k of them. Scores know no classes, so several labels share one.

    Knobs:
        hidden: width of the hidden layer.
        stride: every stride-th frame is read and can be chosen.
    """

    def __init__(self, width: int, k: int, *, hidden: int = 128, stride: int = 1) -> None:
        super().__init__()
        require_stride("saliency", stride)
        if not 1 <= hidden <= 65_536:
            raise ConfigError([f"selector saliency: hidden={hidden} is not from 1 to 65536"])
        self.k, self.stride = k, stride
        self.frame, self.video = nn.Linear(width, hidden), nn.Linear(width, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)

    def candidates(self, lengths: Tensor) -> Tensor:
        """Returns every stride-th frame (B, M)."""
        return every(lengths, self.stride)

    def forward(self, candidates: Clips, generator: ClipGenerator) -> Selection:
        """Chooses the best of the candidates, in training as in evaluation."""
        mean = mean_over_frames(candidates.frames, candidates)
        hidden = (self.frame(candidates.frames) + self.video(mean)[:, None]).tanh()
        scores = self.score(hidden)[:, :, 0].float().masked_fill(~candidates.mask(), 0.0)
        return Selection(best(scores, candidates.lengths, self.k), scores=scores)


@hookimpl
def learned_selectors() -> dict[str, type[LearnedSelector]]:
    """Offers `saliency`."""
    return {"saliency": Saliency}
