"""FrameExit: frames from coarse to fine, and an exit after some of them (arXiv 2104.13400)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import cache
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from distillbench import hookimpl
from distillbench.interfaces import NO_FRAME, Clips, Encoder, Encoding
from distillbench_plugins.layers.knobs import ascending, refuse, wrong_counts
from distillbench_plugins.layers.packing import moved


class FrameExit(Encoder):
    """Looks at the middle frame, then at ever finer steps, and may stop after some of them.

    Features of the frames seen so far are pooled by their maximum (arXiv 2104.13400, section 3.2),
    and every exit has a linear layer of its own before the network's head. Where the paper trains a
    gate at each exit, `--exit-policy` decides here, tuned on the validation videos; train with the
    loss `exits-ce`. The order of the frames plays no part once all are seen.

    Knobs:
        size: E, the width of the encoding and of a frame's features.
        exits: after how many frames it may stop, such as 2,5.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"size": 8, "exits": "1,2"}

    def __init__(self, width: int, *, size: int = 512, exits: str = "2,5,10") -> None:
        super().__init__()
        refuse(wrong_counts("encoder frameexit", size=(size, 1, 65_536)))
        self.exits = ascending(exits, "encoder frameexit: exits")
        self.frame = nn.Sequential(nn.Linear(width, size), nn.ReLU(), nn.Linear(size, size))
        self.last = nn.Linear(size, size)
        self.early = nn.ModuleDict({str(frames): nn.Linear(size, size) for frames in self.exits})

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes clips, and in training what it would have at each exit; there are no states."""
        longest = clips.frames.shape[1]
        features = self._features(clips, longest)
        early = [e for e in self.exits if e < longest] if self.training else []
        exits = tuple(self._pooled(features, frames, longest) for frames in early)
        return Encoding(self._pooled(features, longest, longest), exits=exits)

    def up_to(self, clips: Clips, frames: int) -> Encoding:
        """Encodes the first `frames` frames of the coarse-to-fine order."""
        longest = clips.frames.shape[1]
        return Encoding(self._pooled(self._features(clips, frames), frames, longest))

    def _features(self, clips: Clips, frames: int) -> Tensor:
        """Returns the features of the first frames in order, (B, frames, E); -inf where none."""
        # Made anew: while a network is traced no tensor may be kept.
        orders = torch.tensor(_orders(clips.frames.shape[1])[:, :frames])
        order = orders[clips.lengths]
        order = moved(order, clips.frames.device)
        missing, places = order == NO_FRAME, order.clamp_min(0)[:, :, None]
        chosen = clips.frames.gather(1, places.expand(-1, -1, clips.frames.shape[2]))
        features: Tensor = self.frame(chosen).masked_fill(missing[:, :, None], -torch.inf)
        return features

    def _pooled(self, features: Tensor, frames: int, longest: int) -> Tensor:
        known = self.early[str(frames)] if frames < longest and str(frames) in self.early else None
        summary: Tensor = (known or self.last)(features[:, :frames].amax(1))
        return summary


@cache
def _orders(longest: int) -> NDArray[np.int64]:
    """Tabulates the order of videos of 0 to `longest` frames, (longest + 1, longest)."""
    table = np.full((longest + 1, longest), NO_FRAME)
    for length in range(1, longest + 1):
        table[length, :length] = coarse_to_fine(length)
    return table


def coarse_to_fine(length: int) -> tuple[int, ...]:
    """Orders the frames 0 to length - 1: the middle, then the middles of what is left, and so on.

    Each level has twice as many frames as the one before, from the first to the last.
    """
    order = []
    stretches = deque([(0, length)])
    while stretches:
        start, end = stretches.popleft()
        if start < end:
            middle = (start + end) // 2
            order.append(middle)
            stretches += [(start, middle), (middle + 1, end)]
    return tuple(order)


@hookimpl
def teacher_encoders() -> dict[str, type[Encoder]]:
    """Offers `frameexit`."""
    return {"frameexit": FrameExit}


@hookimpl
def student_encoders() -> dict[str, type[Encoder]]:
    """Offers `frameexit`."""
    return {"frameexit": FrameExit}
