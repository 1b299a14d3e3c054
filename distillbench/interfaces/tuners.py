"""How good settings are searched for: by trials in a space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Value = bool | int | float | str
TrialState = Literal["asked", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class Between:
    """Numbers from low to high, both of which may be tried.

    log: whether they are even in their logarithm; then low is above 0.
    whole: whether they are integers.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True)
class OneOf:
    """One of some values, at least one, without an order."""

    values: tuple[Value, ...]


Space = Mapping[str, Between | OneOf]
"""What may be tried, by setting."""


@dataclass(frozen=True)
class Trial:
    """One try.

    number: its place among the trials of its study, from 0.
    values: of every setting of the space.
    state: `asked` until something is told of it; `stopped` where it fell behind and was not
        trained to its end.
    quality: how good it was; of a stopped one how good it had been. None where nothing is known.
    """

    number: int
    values: Mapping[str, Value]
    state: TrialState = "asked"
    quality: float | None = None


class Tuner(ABC):
    """Searches a space by trials, which it keeps in a file. `__init__(self, study, *, knobs)`.

    The same study, told the same, proposes the same: chance follows from its seed and the number
    of the trial alone.
    """

    @abstractmethod
    def ask(self) -> Trial:
        """Proposes the next trial and keeps it; several may be asked before one is told."""

    @abstractmethod
    def tell(self, number: int, state: TrialState, quality: float | None) -> None:
        """Keeps how a trial ended: `finished` and `stopped` have a quality, `failed` has none."""

    @abstractmethod
    def trials(self) -> Sequence[Trial]:
        """Returns every trial that was asked, in order, also those of earlier processes."""


@dataclass(frozen=True)
class Study:
    """What a tuner is built for.

    file: where it keeps its trials; it goes on where they are, also after a process was killed
        while it wrote. One process at a time opens it.
    seed: what its chance follows from.
    A quality is better where it is higher.
    """

    file: str
    space: Space
    seed: int
