"""Frames in the middle of clusters (Park and Jun 2009)."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, FrameSelector
from distillbench_plugins.layers.frame_choice import (
    evenly,
    require_stride,
    squared_distances,
    with_others,
)


class KMedoids(FrameSelector):
    """The k frames that are the medoids of clusters of frames.

    Medoids begin at equal distances in time; then each frame joins its nearest medoid, and each
    cluster's medoid becomes the frame with the least sum of distances to the others (the
    alternation of Park and Jun 2009, Expert Systems with Applications 36). Distances are Euclidean
    between decoded frames (D,); of equal ones the earlier wins. Labels play no part. Every
    stride-th of the N frames is read to choose k of them; others are added only where those are
    fewer than k.

    Knobs:
        iterations: rounds at most; it ends sooner where nothing changes.
        stride: every stride-th frame is scanned, and paid for.
    """

    def __init__(self, k: int, *, iterations: int = 5, stride: int = 1) -> None:
        require_stride("k-medoids", stride)
        if iterations < 0:
            raise ConfigError([f"selector k-medoids: iterations={iterations} is not at least 0"])
        self.k, self.iterations, self.scan_stride = k, iterations, stride

    def select(
        self, lengths: Tensor, scanned: Clips | None, generator: ClipGenerator, training: bool
    ) -> Tensor:
        """Returns frame numbers (B, S)."""
        assert scanned is not None, "scan_stride is at least 1"
        chosen = torch.full((len(lengths), self.k), NO_FRAME)
        for row, frames, length in zip(
            chosen, scanned.frames, scanned.lengths.tolist(), strict=True
        ):
            found = self._medoids(frames[:length].double())
            row[: len(found)] = found * self.scan_stride
        return with_others(chosen, lengths, self.k, self.scan_stride)

    def _medoids(self, frames: Tensor) -> Tensor:
        """Returns the places of the medoids among the scanned frames (M, D) of a video."""
        medoids = evenly(torch.tensor([len(frames)]), self.k)[0]
        if len(medoids) == len(frames):
            return medoids
        distances = squared_distances(frames, frames).sqrt()
        for _ in range(self.iterations):
            moved = _central(distances, medoids)
            if torch.equal(moved, medoids):
                break
            medoids = moved
        return medoids


def _central(distances: Tensor, medoids: Tensor) -> Tensor:
    """Returns the most central frame of each medoid's cluster."""
    cluster = distances[:, medoids].argmin(1)
    cluster[medoids] = torch.arange(len(medoids))  # even where an equal frame is a medoid, too
    member = cluster[:, None] == torch.arange(len(medoids))
    sums = distances @ member.to(distances.dtype)
    return sums.masked_fill(~member, torch.inf).argmin(0)


@hookimpl
def frame_selectors() -> dict[str, type[FrameSelector]]:
    """Offers `k-medoids`."""
    return {"k-medoids": KMedoids}
