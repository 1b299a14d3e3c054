"""Independent random numbers for each clip."""

from __future__ import annotations

import torch
from torch import Tensor


class ClipGenerator:
    """Independent random numbers for each of B clips: a function of the seed, the clip and how often it was asked.

    A clip's numbers do not depend on the batch it is in, so a selection can be repeated for a single video, resumed in
    the middle of an epoch and shared out over processes. The mixing function is splitmix64 (Steele et al. 2014).
    """

    def __init__(self, keys: Tensor) -> None:
        """keys: (B,) int64, one for each clip, any values."""
        self._keys = keys.to(torch.int64)
        self._drawn = 0

    def __len__(self) -> int:
        return len(self._keys)

    def rand(self, count: int) -> Tensor:
        """Draws the next `count` numbers of each clip: (B, count) float64, uniform in [0, 1)."""
        steps = torch.arange(self._drawn + 1, self._drawn + count + 1, dtype=torch.int64)
        self._drawn += count
        mixed = _mix(_mix(self._keys)[:, None] + steps * -7046029254386353131)
        return _shift(mixed, 11).to(torch.float64) * 2.0**-53


def _shift(value: Tensor, bits: int) -> Tensor:
    """Shifts int64 right as if it were unsigned."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _mix(value: Tensor) -> Tensor:
    value = (value ^ _shift(value, 30)) * -4658895280553007687
    value = (value ^ _shift(value, 27)) * -7723592293110705685
    return value ^ _shift(value, 31)
