"""Light networks that score frames, and what is drawn by the scores."""

from __future__ import annotations

from torch import Tensor, nn

from distillbench.errors import ConfigError
from distillbench.interfaces import ClipGenerator, Clips
from distillbench_plugins.layers.packing import moved


class FrameScores(nn.Module):
    """Scores each frame alone, by one hidden layer with ReLU; padding has 0."""

    def __init__(self, selector: str, width: int, hidden: int) -> None:
        super().__init__()
        if not 1 <= hidden <= 65_536:
            raise ConfigError([f"selector {selector}: hidden={hidden} is not from 1 to 65536"])
        # Without a bias in the end: it would change no choice, and drift by rounding alone.
        last = nn.Linear(hidden, 1, bias=False)
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), last)

    def forward(self, clips: Clips) -> Tensor:
        """Returns float32 scores (B, M)."""
        scores: Tensor = self.layers(clips.frames)[:, :, 0].float()
        return scores.masked_fill(~clips.mask(), 0.0)


def gumbel(scores: Tensor, generator: ClipGenerator) -> Tensor:
    """Adds standard Gumbel noise to scores (B, M).

    The k highest are then a sample without replacement (arXiv 1903.06059, section 2).
    """
    drawn = generator.rand(scores.shape[1]).clamp(1e-12, 1 - 1e-12)
    noise = moved((-drawn.log()).log().to(scores.dtype), scores.device)
    return scores - noise
