"""Products of the courses of units over time, written so that few frames make them cheap."""

from __future__ import annotations

from torch import Tensor


def joint_product(first: Tensor, second: Tensor, third: Tensor, fourth: Tensor) -> Tensor:
    """The sum over all entries of (first' third) * (second' fourth), each (B, T, W): (B,).

    Written as first second' and third fourth', which are (T, T), however wide the states are.
    """
    pairs = (first @ second.transpose(1, 2)) * (third @ fourth.transpose(1, 2))
    return pairs.sum((1, 2))
