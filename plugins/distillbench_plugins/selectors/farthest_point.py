"""Frames that are far from one another (Gonzalez 1985)."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, FrameSelector
from distillbench_plugins.layers.frame_choice import (
    require_stride,
    squared_distances,
    with_others,
)


class FarthestPoint(FrameSelector):
    """The first frame, then again and again the one farthest from all that are chosen.

    Greedy k-center: the largest distance of a frame to its nearest chosen one is at most twice the
    least that is possible (Gonzalez 1985, Theoretical Computer Science 38). Distances are Euclidean
    between decoded frames (D,); of equal ones the earlier wins. Labels play no part. Every
    stride-th of the N frames is read to choose k of them; others are added only where those are
    fewer than k.

    Knobs:
        stride: every stride-th frame is scanned, and paid for.
    """

    def __init__(self, k: int, *, stride: int = 1) -> None:
        require_stride("farthest-point", stride)
        self.k, self.scan_stride = k, stride

    def select(
        self, lengths: Tensor, scanned: Clips | None, generator: ClipGenerator, training: bool
    ) -> Tensor:
        """Returns frame numbers (B, S)."""
        assert scanned is not None, "scan_stride is at least 1"
        chosen = torch.full((len(lengths), self.k), NO_FRAME)
        for row, frames, length in zip(
            chosen, scanned.frames, scanned.lengths.tolist(), strict=True
        ):
            found = self._spread(frames[:length].double())
            row[: len(found)] = found * self.scan_stride
        return with_others(chosen, lengths, self.k, self.scan_stride)

    def _spread(self, frames: Tensor) -> Tensor:
        """Returns the places of the chosen ones among the scanned frames (M, D) of a video."""
        chosen = [0]
        distance = torch.full((len(frames),), torch.inf, dtype=frames.dtype)
        for _ in range(1, min(self.k, len(frames))):
            last = frames[chosen[-1]][None]
            distance = distance.minimum(squared_distances(frames, last)[:, 0])
            distance[chosen] = -1.0  # equal frames are at distance 0, and none is chosen twice
            chosen.append(int(distance.argmax()))
        return torch.tensor(chosen)


@hookimpl
def frame_selectors() -> dict[str, type[FrameSelector]]:
    """Offers `farthest-point`."""
    return {"farthest-point": FarthestPoint}
