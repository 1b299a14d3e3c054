"""An encoder that may stop early, and a loss that trains all its exits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from distillbench import hookimpl
from distillbench.interfaces import (
    Clips,
    Encoder,
    Encoding,
    LabelLoss,
    LossBatch,
    Output,
    Requirements,
)


class SlowStart(Encoder):
    """The mean of the frames so far, each through one hidden layer; it may stop after one frame, or after two.

    Knobs:
        size: E, the width of the encoding.
    """

    exits: Sequence[int] = (1, 2)
    check_knobs: ClassVar[Mapping[str, object]] = {"size": 12}

    def __init__(self, width: int, *, size: int = 64) -> None:
        super().__init__()
        self.frame = nn.Sequential(nn.Linear(width, size), nn.GELU(), nn.Linear(size, size))

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes clips, and in training what it would have at each exit."""
        longest = clips.frames.shape[1]
        early = [e for e in self.exits if e < longest] if self.training else []
        exits = tuple(self.up_to(clips, frames).summary for frames in early)
        return Encoding(self.up_to(clips, longest).summary, exits=exits)

    def up_to(self, clips: Clips, frames: int) -> Encoding:
        """Encodes the first `frames` frames."""
        seen = self.frame(clips.frames[:, :frames]) * clips.mask()[:, :frames, None]
        counts = clips.lengths.clamp_max(frames).to(seen.device)
        return Encoding(seen.sum(1) / counts[:, None])


class EveryExit(LabelLoss):
    """Cross-entropy with the labels at the end and at every exit, averaged."""

    requirements = Requirements(
        frozenset({"labels", "logits", "exits"}), claims=frozenset({"batch-mean", "any-width"})
    )

    def forward(self, output: Output, batch: LossBatch) -> Tensor:
        """Returns the mean over exits and batch."""
        every = torch.stack([output.logits, *output.exits]).float()
        labels = batch.labels.float().expand_as(every)
        return (
            binary_cross_entropy_with_logits(every, labels, reduction="sum") / every[..., 0].numel()
        )


@hookimpl
def student_encoders() -> dict[str, type[Encoder]]:
    """Offers `slow-start`."""
    return {"slow-start": SlowStart}


@hookimpl
def label_losses() -> dict[str, type[LabelLoss]]:
    """Offers `every-exit`."""
    return {"every-exit": EveryExit}
