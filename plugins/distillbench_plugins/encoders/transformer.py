"""A transformer over the frames (arXiv 1706.03762) that knows when each was shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from distillbench import hookimpl
from distillbench.interfaces import NO_FRAME, Clips, Encoder, Encoding, States
from distillbench_plugins.layers.knobs import not_a_share, refuse, wrong_counts
from distillbench_plugins.layers.packing import moved
from distillbench_plugins.layers.pooling import mean_over_frames


class TransformerEncoder(Encoder):
    """Self-attention layers over the frames, with sinusoids of each frame's real time; their mean.

    Sinusoids are those of arXiv 1706.03762, section 3.5, of the frame's number in its video: a
    student's k frames have the times that a teacher's N have. Frames are normalized before the
    sinusoids are added, which would drown small features; arXiv 1706.03762, section 3.4,
    multiplies embeddings by the root of the size instead. So the size of a whole frame says
    nothing. Layers are normalized before attention (arXiv 2002.04745).

    Knobs:
        size: W and E, even; the width of a layer.
        layers: how many.
        heads: of the attention; they must divide the size.
        dropout: share dropped in each layer in training.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"size": 8, "heads": 2, "layers": 1}

    def __init__(
        self,
        width: int,
        *,
        size: int = 512,
        layers: int = 2,
        heads: int = 8,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        problems = wrong_counts(
            "encoder transformer",
            size=(size, 1, 65_536),
            layers=(layers, 1, 64),
            heads=(heads, 1, 4096),
        )
        if not problems and (size % heads or size % 2):
            problems.append(f"encoder transformer: heads={heads} and 2 do not divide size={size}")
        refuse([*problems, *not_a_share("encoder transformer", dropout=dropout)])
        self.frame = nn.Sequential(nn.Linear(width, size, bias=False), nn.LayerNorm(size))
        self.layers = nn.ModuleList(_Layer(size, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(size)

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes clips; the states are the last layer's, of every frame."""
        values = self.frame(clips.frames)
        times = moved(clips.times, values.device)
        values = values + _sinusoids(times, values.shape[2]).to(values.dtype)
        real = clips.mask()
        for layer in self.layers:
            values = layer(values, real)
        values = self.norm(values)
        summary = mean_over_frames(values, clips)
        if not with_states:
            return Encoding(summary)
        return Encoding(summary, {"frames": States(values, clips.times)})


class _Layer(nn.Module):
    """One layer: attention over the real frames, then a network of each frame."""

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.before_attention, self.before_network = nn.LayerNorm(size), nn.LayerNorm(size)
        self.projections, self.joined = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.network = nn.Sequential(
            nn.Linear(size, 4 * size), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * size, size)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, values: Tensor, real: Tensor) -> Tensor:
        videos, frames, size = values.shape
        projected = self.projections(self.before_attention(values))
        queries, keys, held = projected.view(videos, frames, 3, self.heads, -1).unbind(2)
        # Written out, since counters of operations do not see inside fused attention on all
        # devices.
        scores = torch.einsum("bqhw,bkhw->bhqk", queries, keys) / math.sqrt(queries.shape[3])
        scores = scores.masked_fill(~real[:, None, None, :], float("-inf"))
        shares = scores.softmax(3).to(held.dtype)
        gathered = torch.einsum("bhqk,bkhw->bqhw", shares, held).reshape(videos, frames, size)
        values = values + self.drop(self.joined(gathered))
        changed: Tensor = values + self.drop(self.network(self.before_network(values)))
        return changed


def _sinusoids(times: Tensor, size: int) -> Tensor:
    """Sines and cosines (B, T, size) of the times, zero for padding."""
    numbers = torch.arange(0, size, 2, device=times.device)
    rates = torch.exp(numbers * (-math.log(10_000.0) / size))
    angles = times[:, :, None].to(torch.float32) * rates
    waves = torch.stack([angles.sin(), angles.cos()], 3).flatten(2)
    return waves.masked_fill((times == NO_FRAME)[:, :, None], 0.0)


@hookimpl
def teacher_encoders() -> dict[str, type[Encoder]]:
    """Offers `transformer`."""
    return {"transformer": TransformerEncoder}


@hookimpl
def student_encoders() -> dict[str, type[Encoder]]:
    """Offers `transformer`."""
    return {"transformer": TransformerEncoder}
