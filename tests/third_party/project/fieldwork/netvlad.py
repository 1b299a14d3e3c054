"""NetVLAD (arXiv 1511.07247): what is left of each frame when its cluster's centre is taken away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import nn
from torch.nn.functional import normalize

from distillbench import hookimpl
from distillbench.interfaces import Clips, Encoder, Encoding


class NetVLAD(Encoder):
    """Soft assignment of frames to clusters; residuals are summed for each, normalized, and projected.

    Knobs:
        clusters: their number.
        size: E, the width of the encoding.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"clusters": 3, "size": 10}

    def __init__(self, width: int, *, clusters: int = 8, size: int = 64) -> None:
        super().__init__()
        self.assign = nn.Linear(width, clusters)
        self.centres = nn.Parameter(torch.randn(clusters, width) / width**0.5)
        self.project = nn.Linear(clusters * width, size)

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes clips; there are no states."""
        soft = self.assign(clips.frames).softmax(2) * clips.mask()[:, :, None]
        sums = soft.transpose(1, 2) @ clips.frames.to(soft.dtype)
        residuals = sums - soft.sum(1)[:, :, None] * self.centres
        return Encoding(self.project(normalize(residuals, dim=2).flatten(1)))


@hookimpl
def teacher_encoders() -> dict[str, type[Encoder]]:
    """Offers `vlad`."""
    return {"vlad": NetVLAD}


@hookimpl
def student_encoders() -> dict[str, type[Encoder]]:
    """Offers `vlad`."""
    return {"vlad": NetVLAD}
