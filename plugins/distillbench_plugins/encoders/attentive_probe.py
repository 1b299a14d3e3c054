"""Attentive pooling of frame features by learned queries (arXiv 2202.03026, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import nn

from distillbench import hookimpl
from distillbench.interfaces import Clips, Encoder, Encoding
from distillbench_plugins.layers.knobs import refuse, wrong_counts


class AttentiveProbe(Encoder):
    """Learned queries attend to the frames; what they gather is joined and projected.

    The usual probe on a frozen backbone's features: one block of cross-attention, without
    self-attention among the frames. The order of the frames plays no part.

    Knobs:
        size: E, the width of the encoding and of keys and values.
        heads: of the attention; they must divide the size.
        queries: how many there are.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"size": 8, "heads": 2, "queries": 2}

    def __init__(self, width: int, *, size: int = 512, heads: int = 8, queries: int = 1) -> None:
        super().__init__()
        problems = wrong_counts(
            "encoder attentive-probe",
            size=(size, 1, 65_536),
            heads=(heads, 1, 65_536),
            queries=(queries, 1, 65_536),
        )
        if not problems and size % heads:
            problems.append(f"encoder attentive-probe: heads={heads} does not divide size={size}")
        refuse(problems)
        self.heads = heads
        self.queries = nn.Parameter(torch.randn(queries, size) / size**0.5)
        self.keys, self.values = nn.Linear(width, size), nn.Linear(width, size)
        self.project = nn.Linear(queries * size, size)

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes clips; there are no states."""
        videos, frames, _ = clips.frames.shape
        keys = self.keys(clips.frames).view(videos, frames, self.heads, -1)
        values = self.values(clips.frames).view(videos, frames, self.heads, -1)
        queries = self.queries.to(keys.dtype).view(len(self.queries), self.heads, -1)
        scores = torch.einsum("qhw,bthw->bhqt", queries, keys) / keys.shape[3] ** 0.5
        scores = scores.masked_fill(~clips.mask()[:, None, None, :], float("-inf"))
        gathered = torch.einsum("bhqt,bthw->bqhw", scores.softmax(3).to(values.dtype), values)
        return Encoding(self.project(gathered.reshape(videos, -1)))


@hookimpl
def teacher_encoders() -> dict[str, type[Encoder]]:
    """Offers `attentive-probe`."""
    return {"attentive-probe": AttentiveProbe}


@hookimpl
def student_encoders() -> dict[str, type[Encoder]]:
    """Offers `attentive-probe`."""
    return {"attentive-probe": AttentiveProbe}
