"""Frames where there is motion (arXiv 2104.09952)."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import ClipGenerator, Clips, FrameSelector
from distillbench_plugins.layers.frame_choice import along, marks, require_stride


class Motion(FrameSelector):
    """Frames at equal distances along the cumulative motion: dense where a video changes.

    MGSampler (arXiv 2104.09952, eq. 3 to 5): D_t is the sum of absolute differences of frame t and
    the scanned frame before it, the cumulative distribution is that of D_t^mu, and a frame is taken
    where it reaches the center of each of k equal parts. The paper differs from this in that its
    frames may repeat; here they are distinct. Frames (N, D) are features, whatever the labels.
    Every stride-th of the N frames is read to choose k of them.

    Knobs:
        mu: smooths the motion: 0 is uniform sampling, 1 the plain motion.
        stride: every stride-th frame is scanned, and paid for; motion between is interpolated.
        jitter: take a random point of each part in training, as in the paper.
    """

    def __init__(self, k: int, *, mu: float = 0.5, stride: int = 1, jitter: bool = False) -> None:
        require_stride("motion", stride)
        if not 0.0 <= mu <= 16.0:
            raise ConfigError([f"selector motion: mu={mu} is not from 0 to 16"])
        self.k, self.mu, self.scan_stride, self.jitter = k, mu, stride, jitter

    def select(
        self, lengths: Tensor, scanned: Clips | None, generator: ClipGenerator, training: bool
    ) -> Tensor:
        """Returns frame numbers (B, S)."""
        assert scanned is not None, "scan_stride is at least 1"
        count = lengths.clamp_max(self.k)
        times = torch.arange(scanned.frames.shape[1]) * self.scan_stride
        at = marks(count, generator, jitter=self.jitter and training)
        return along(self._motion(scanned), times, at, lengths, count)

    def _motion(self, scanned: Clips) -> Tensor:
        """Returns D_t^mu (B, M); 0 for the first frame and for padding."""
        frames = scanned.frames.double()
        changes = (frames[:, 1:] - frames[:, :-1]).abs().sum(2)
        motion = torch.cat([torch.zeros(len(changes), 1, dtype=changes.dtype), changes], 1)
        counted = scanned.mask() & (torch.arange(motion.shape[1]) > 0)
        return (motion**self.mu).masked_fill(~counted, 0.0)


@hookimpl
def frame_selectors() -> dict[str, type[FrameSelector]]:
    """Offers `motion`."""
    return {"motion": Motion}
