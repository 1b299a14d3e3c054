"""What a loss that compares a student with its teacher promises."""

from __future__ import annotations

from distillbench.testing import losses, toys

GIVEN: tuple[object, ...] = (toys.MATCHING,)
"""The positional constructor arguments of a component."""

CHECKS = (*losses.CHECKS, *losses.MATCHING)
