"""The mean of the frames, through a small network (arXiv 1609.08675, section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import nn

from distillbench import hookimpl
from distillbench.interfaces import Clips, Encoder, Encoding
from distillbench_plugins.layers.knobs import not_a_share, refuse, wrong_counts
from distillbench_plugins.layers.pooling import mean_over_frames


class MeanPool(Encoder):
    """Each frame through a layer with ReLU, their mean, and a linear layer.

    The order of the frames plays no part, so a student that sees k frames estimates what a teacher
    sees of all N. Video-level features of YouTube-8M are such means (arXiv 1609.08675, section
    4.1).

    Knobs:
        size: E, the width of the encoding and of the layer before the mean.
        dropout: share of the mean that is dropped in training.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"size": 8}

    def __init__(self, width: int, *, size: int = 512, dropout: float = 0.0) -> None:
        super().__init__()
        problems = wrong_counts("encoder mean-pool", size=(size, 1, 65_536))
        refuse([*problems, *not_a_share("encoder mean-pool", dropout=dropout)])
        self.frame = nn.Sequential(nn.Linear(width, size), nn.ReLU())
        self.video = nn.Sequential(nn.Dropout(dropout), nn.Linear(size, size))

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes clips; there are no states."""
        return Encoding(self.video(mean_over_frames(self.frame(clips.frames), clips)))


@hookimpl
def teacher_encoders() -> dict[str, type[Encoder]]:
    """Offers `mean-pool`."""
    return {"mean-pool": MeanPool}


@hookimpl
def student_encoders() -> dict[str, type[Encoder]]:
    """Offers `mean-pool`."""
    return {"mean-pool": MeanPool}
