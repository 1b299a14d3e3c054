"""Reports: tables and figures that are made of stored runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from distillbench.errors import ConfigError
from distillbench.interfaces.datasets import Videos

if TYPE_CHECKING:  # pandas and numpy take half a second, and most commands make no report
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class Cell:
    """One number of a table: the mean over `seeds` runs and their standard deviation.

    published: what somebody else has published of it, shown beside it with `--paper`.
    digits: after the point.
    words: what is written in the number's place.
    improving: how many of the runs were still improving when training ended.
    """

    value: float | None = None
    spread: float | None = None
    seeds: int = 0
    published: float | None = None
    digits: int = 3
    unit: str = ""
    words: str = ""
    improving: int = 0


Row = tuple[tuple[str, ...], tuple[Cell, ...]]
"""A row of a table: words first, one for each of its heads, then one cell a column."""


@dataclass(frozen=True)
class Table:
    """A titled table.

    columns: two lines of heading each, of which either may be empty.

    sections: the numbers of the rows before which a rule is drawn.
    notes: lines below the table.
    published: whose numbers the cells' `published` are; with `--paper` it stands below the table.
    """

    title: str
    heads: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    sections: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    published: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure that is drawn when it is saved, so that a report needs no matplotlib to be made.

    draw: called with `matplotlib.pyplot` and the number of text columns that it spans (1 or 2);
    returns the `matplotlib.figure.Figure`, at just that width: `distillbench.reports.INCHES`.
    """

    draw: Callable[[Any, int], Any]


@dataclass(frozen=True)
class Difference:
    """A minus B of a metric, with its 95 % interval.

    a, b: means over their seeds.

    p: two-sided, of no difference.
    paired_seeds: how many seeds both have; 0 where they have none in common, so that the seeds'
    errors of both add up.
    """

    value: float
    low: float
    high: float
    a: float
    b: float
    p: float
    paired_seeds: int


class Networks(ABC):
    """The networks of a run, built again with the weights that are stored.

    names: those whose weights were found.
    test: the test split.
    """

    names: tuple[str, ...]
    test: Videos

    @abstractmethod
    def encode(self, network: str, videos: Tensor) -> NDArray[np.float64]:
        """Returns a network's final encodings (V, E) of test videos, of the frames that it sees."""


class Runs(ABC):
    """The runs of one data set that are to be reported; networks in 8 bits are not among them.

    data: the data set's name.
    metrics: the titles of the quality metrics by the names of their columns, the most important
    first.
    errors: those metrics of which less is better.
    methods: the names of all methods of the results, whichever were left out by `--where`.
    """

    data: str
    metrics: Mapping[str, str]
    errors: frozenset[str]
    methods: tuple[str, ...]

    @property
    @abstractmethod
    def rows(self) -> pd.DataFrame:
        """One row a run, a copy at every call.

        The columns are those of `distillbench leaderboard --each --format csv`, and `method`: words
        that are equal where runs differ in nothing but k and seed; `configuration`: text that is
        equal where they differ in their seed alone; `settings`: a mapping from dotted name to text.
        """

    @property
    def whole(self) -> pd.DataFrame:
        """The rows of runs that were trained on the most videos."""
        rows = self.rows
        whole: pd.DataFrame = rows[rows["train_videos"] == rows["train_videos"].max()]
        return whole

    @abstractmethod
    def stored(self, run: str) -> Mapping[str, Any]:
        """Returns everything that the file of a run holds, by the `run` of its row."""

    @abstractmethod
    def over_seeds(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Joins rows that differ in their seed alone: means, deviations (`gap_sd`) and `seeds`."""

    @abstractmethod
    def differing(self, rows: pd.DataFrame) -> Mapping[str, Sequence[str]]:
        """Lists the settings in which rows differ, but for their seed, with their values."""

    @abstractmethod
    def compare(
        self,
        a: pd.DataFrame,
        b: pd.DataFrame,
        *,
        metric: str = "",
        resamples: int = 2000,
    ) -> Difference:
        """Compares the runs of two methods, paired by video and by seed.

        metric: a name of `metrics`; the first one if it is empty. Raises `ConfigError` where either
        has several methods, or where they cannot be compared.
        """

    @abstractmethod
    def restore(self, run: str) -> Networks:
        """Builds a run's networks again; raises `ConfigError` or `ResultError` where it cannot."""


class Report(ABC):
    """A table or a figure of stored runs. `__init__(self, *, knobs)`."""

    needs: ClassVar[str] = ""
    """The sweep file whose runs the report needs, for `distillbench sweep NAME`."""

    check_rows: ClassVar[Sequence[Mapping[str, object]]] = ()
    """Made-up runs that the report is fit for, so that `distillbench check` can make it.

    Each names some of `schedule`, `selector`, `train_selector`, `loss`, `k` ("all" for a network
    that sees all frames), `seed`, `train_videos`, and settings by dotted name.
    """

    @abstractmethod
    def make(self, runs: Runs) -> Table | Figure:
        """Makes the report, the same for the same runs; raises `lacking` where they are not fit."""

    def lacking(self, what: str) -> ConfigError:
        """Makes the error to raise: what the report needs, and the sweep that trains it."""
        hint = f"; distillbench sweep {self.needs} trains them" if self.needs else ""
        return ConfigError([what + hint])
