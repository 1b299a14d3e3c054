"""The precision in which losses are computed."""

from __future__ import annotations

from torch import Tensor


def wide(values: Tensor) -> Tensor:
    """Returns values in float32, or in float64 where they are in it already.

    Sums of squares and logarithms lose too much in bf16 and float16.
    """
    return values.float() if values.dtype.itemsize < 4 else values


def wide_pair(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the student's values in float32 or better, and the teacher's detached in the same."""
    ours = wide(student)
    return ours, teacher.detach().to(ours.dtype)
