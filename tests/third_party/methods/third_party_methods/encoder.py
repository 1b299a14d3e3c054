"""Attention over frames."""

from __future__ import annotations

import torch
from torch import nn

from distillbench import hookimpl
from distillbench.interfaces import Clips, Encoder, Encoding


class Attention(Encoder):
    """Frames weighed by how well they answer a few learnt queries.

    Knobs:
        queries: how many are asked.
        size: the width of each answer.
    """

    def __init__(self, width: int, *, queries: int = 4, size: int = 16) -> None:
        super().__init__()
        self.values, self.keys = nn.Linear(width, size), nn.Linear(width, queries)

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes clips: (B, queries * size)."""
        weights = (
            self.keys(clips.frames).masked_fill(~clips.mask()[:, :, None], -torch.inf).softmax(1)
        )
        values = torch.tanh(self.values(clips.frames))
        return Encoding((weights.transpose(1, 2) @ values.to(weights.dtype)).flatten(1))


@hookimpl
def student_encoders() -> dict[str, type[Encoder]]:
    """Offers `attention` for students."""
    return {"attention": Attention}
