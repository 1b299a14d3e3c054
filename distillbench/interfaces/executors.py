"""Where the runs of a sweep are made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from distillbench.interfaces.observers import RunEvent

RunStatus = Literal["failed", "not applicable", "stopped"]


@dataclass(frozen=True)
class PhaseStarted(RunEvent):
    """A phase of so many epochs begins."""

    name: str
    epochs: int


@dataclass(frozen=True)
class Message(RunEvent):
    """Something a user wants to know happened, in one line."""

    text: str


@dataclass(frozen=True)
class Finished(RunEvent):
    """The run has its result, which was written. Nothing more happens to it."""


@dataclass(frozen=True)
class Failed(RunEvent):
    """The run ended without a result, and would again.

    status: `not applicable` where what was chosen does not go together; `stopped` where it had
        fallen behind, as the one who asked for it wanted.
    reached: how good a stopped run was by then on validation videos; the higher the better.
    reason: why, in one line.
    """

    status: RunStatus
    reason: str
    reached: float | None = None


@dataclass(frozen=True)
class Lost(RunEvent):
    """What made the run died with it: a process, a machine.

    The sweep submits it again, until it was begun as often as the executor's `attempts`.

    reason: what is known of it, in one line.
    """

    reason: str


@dataclass(frozen=True)
class RunJob(ABC):
    """A run to make, wherever that is; it can be pickled, and what it needs is installed there.

    It is made in the folder in which the sweep was begun: paths in its settings are relative to it.

    key: the run's.
    title: the run in a few words.
    data: a digest of its data set; a process that made a run of the same data still has it open,
        and is to be preferred.
    threads: processor threads that the run uses; 0: one for each core of the machine.
    device: `cpu` or `cuda`.
    results: the folder where it leaves what it finds, absolute; whoever makes runs must see it.
    """

    key: str
    title: str
    data: str
    threads: int
    device: str
    results: str

    @abstractmethod
    def run(self, report: Callable[[RunEvent], object]) -> RunEvent:
        """Makes the run in the process that calls this, and returns `Finished` or `Failed`.

        It never raises.

        report: called with what happens on the way: `PhaseStarted`, `EpochEnded`, `Message`.
        """


@dataclass(frozen=True)
class Demand:
    """What a sweep requires of an executor.

    runs: how many there are to make.
    threads: processor threads that the most demanding one uses; 0: one for each core of the
        machine.
    device: `cpu` or `cuda`.
    """

    runs: int
    threads: int
    device: str


class Executor(ABC):
    """Makes runs where and when it sees fit. `__init__(self, demand, *, knobs)` begins nothing.

    Of every run that was submitted one end is reported: the event that its `run` returned, or
    `Lost`. What `run` reports on the way is reported before that, in order, as soon as may be.

    is_default: whether runs are made here without `--executor`.
    shares_machine: whether runs that are made at the same time slow one another down, which their
    latencies then say.
    remote: whether other machines make the runs: this one need not have their device, and it may
    see only after a while what they write.
    attempts: how often a run is begun whose end is `Lost`; at least 1, and perhaps a knob.
    """

    is_default: ClassVar[bool] = False
    shares_machine: ClassVar[bool] = True
    remote: ClassVar[bool] = False
    attempts: int = 2

    @property
    @abstractmethod
    def free(self) -> int:
        """How many runs could be submitted now."""

    @property
    @abstractmethod
    def running(self) -> Collection[str]:
        """The keys of the runs that were submitted and whose end was not reported yet."""

    @abstractmethod
    def submit(self, job: RunJob) -> None:
        """Takes a run to make; called while something is `free`."""

    @abstractmethod
    def events(self, timeout: float) -> Iterator[RunEvent]:
        """Yields what happened since the last call.

        Waits up to `timeout` seconds where that is nothing.
        """

    @abstractmethod
    def shutdown(self) -> None:
        """Cancels what has not begun and ends what can be ended.

        What a run had reached stays in its checkpoint.
        """
