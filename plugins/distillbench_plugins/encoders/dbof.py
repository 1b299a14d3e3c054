"""Deep bag of frames (arXiv 1609.08675)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import nn

from distillbench import hookimpl
from distillbench.interfaces import Clips, Encoder, Encoding
from distillbench_plugins.layers.knobs import refuse, wrong_counts
from distillbench_plugins.layers.pooling import mean_over_frames


class DeepBagOfFrames(Encoder):
    """Frames projected to many units, pooled over time, and projected again.

    Deep bag of frames (arXiv 1609.08675, section 4.1.2). Where the paper normalizes over the batch
    this normalizes each frame by itself, because an encoding may depend on its own clip alone. The
    order of the frames plays no part.

    Knobs:
        clusters: how many units a frame is projected to; the paper has 8,000.
        size: E, the width of the encoding; the paper has 1,024.
        pooling: max over the frames, or mean.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"clusters": 12, "size": 8}

    def __init__(
        self,
        width: int,
        *,
        clusters: int = 8000,
        size: int = 1024,
        pooling: Literal["max", "mean"] = "max",
    ) -> None:
        super().__init__()
        refuse(wrong_counts("encoder dbof", clusters=(clusters, 1, 65_536), size=(size, 1, 65_536)))
        self.pooling = pooling
        self.frame = nn.Sequential(nn.Linear(width, clusters), nn.LayerNorm(clusters), nn.ReLU())
        self.video = nn.Sequential(nn.Linear(clusters, size), nn.LayerNorm(size), nn.ReLU6())

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes clips; there are no states."""
        units = self.frame(clips.frames)
        if self.pooling == "mean":
            return Encoding(self.video(mean_over_frames(units, clips)))
        hidden = units.masked_fill(~clips.mask()[:, :, None], -torch.inf)
        return Encoding(self.video(hidden.amax(1)))


@hookimpl
def teacher_encoders() -> dict[str, type[Encoder]]:
    """Offers `dbof`."""
    return {"dbof": DeepBagOfFrames}


@hookimpl
def student_encoders() -> dict[str, type[Encoder]]:
    """Offers `dbof`."""
    return {"dbof": DeepBagOfFrames}
