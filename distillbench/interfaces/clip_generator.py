"""Independent random numbers for each clip."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from distillbench.seeds import splitmix64


class ClipGenerator:
    """Independent random numbers for each of B clips.

    Each is a function of the seed, the clip and the number of earlier draws.

    A clip's numbers do not depend on the batch it is in, so a selection can be repeated for a
    single video, resumed in the middle of an epoch and shared out over processes. They are drawn by
    splitmix64 (Steele et al. 2014).
    """

    def __init__(self, keys: Tensor) -> None:
        """keys: (B,) int64, one for each clip, any values."""
        words = keys.to(torch.int64).numpy().view(np.uint64)
        # Keys that are close to each other, far apart.
        self._seeds = splitmix64(words, np.zeros(1, np.uint64))
        self._drawn = 0

    def __len__(self) -> int:
        return len(self._seeds)

    def rand(self, count: int) -> Tensor:
        """Draws the next `count` numbers of each clip: (B, count) float64, uniform in [0, 1)."""
        steps = np.arange(self._drawn + 1, self._drawn + count + 1, dtype=np.uint64)
        self._drawn += count
        drawn = splitmix64(self._seeds[:, None], steps) >> np.uint64(11)
        return torch.from_numpy(drawn.astype(np.float64) * 2.0**-53)
