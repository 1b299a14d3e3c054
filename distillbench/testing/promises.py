"""What a check is: a plain function of a subject.

The first line of its docstring is the promise that it tests.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from distillbench.registry.discovery import Component
from distillbench.registry.knobs import grouped
from distillbench.seeds import seed_torch


class Broken(Exception):  # noqa: N818 - a verdict, not a fault
    """A promise is broken; the message has what was received."""


class Unclaimed(Exception):  # noqa: N818 - a verdict, not a fault
    """The component does not make this promise; the message has why that is allowed."""


class Unchecked(Exception):  # noqa: N818 - a verdict, not a fault
    """Whether the promise is kept cannot be seen; the message has what that needs."""


@dataclass(frozen=True)
class Subject:
    """One component to check, and what importing its module changed that it should not have.

    data_dir: a folder to read, for a data set with a knob `dir`.
    """

    component: Component
    import_effects: tuple[str, ...] = ()
    data_dir: str | None = None

    @property
    def cls(self) -> type:
        """The component's class."""
        return self.component.cls

    @property
    def check_knobs(self) -> Mapping[str, Any]:
        """Sizes that make the checks quick: the class attribute `check_knobs`, or nothing."""
        return dict(getattr(self.cls, "check_knobs", {}))

    def require_buildable(self) -> None:
        """Raises `Unchecked` with what the component cannot be built without.

        That is its class attribute `check_needs`, of one whose defaults cannot do, such as a file.
        """
        if need := str(getattr(self.cls, "check_needs", "")):
            raise Unchecked(need)

    def build(self, *given: object, seed: int = 0, **knobs: object) -> Any:
        """Builds the component from the framework's arguments and `check_knobs`, seeded."""
        self.require_buildable()
        with seeded(seed):
            return self.cls(*given, **grouped(self.cls, {**self.check_knobs, **knobs}))


@dataclass(frozen=True)
class Check:
    """A named promise and the function that raises `Broken` where it is not kept."""

    function: Callable[[Subject], None]

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    @property
    def promise(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def details(self) -> str:
        """The rest of the docstring: what the promise means in detail."""
        return (inspect.getdoc(self.function) or "").partition("\n")[2].strip()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds torch's, numpy's and Python's global randomness, and puts all three back."""
    state, numbers = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        seed_torch(seed)
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(state)
            np.random.set_state(numbers)


def expect(condition: object, received: str) -> None:
    """Raises `Broken` with what was received unless the condition holds."""
    if not condition:
        raise Broken(received)


def largest_difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Returns the largest difference of two tensors relative to the larger of 1 and their scale.

    Inf for NaN.
    """
    if ours.shape != theirs.shape:
        return float("inf")
    if ours.numel() == 0:
        return 0.0
    ours, theirs = ours.detach().double(), theirs.detach().double()
    scale = max(1.0, float(theirs.abs().nan_to_num().max()))
    difference = float((ours - theirs).abs().max()) / scale
    return difference if difference == difference else float("inf")
