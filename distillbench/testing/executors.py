"""What an executor promises."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distillbench.interfaces import (
    Demand,
    EpochEnded,
    Executor,
    Failed,
    Finished,
    Lost,
    PhaseStarted,
    RunEvent,
    RunJob,
)
from distillbench.testing.promises import Subject, Unclaimed, expect

_PATIENCE = 60.0  # a fresh process imports torch first
_WAIT = 0.2


@dataclass(frozen=True)
class ToyJob(RunJob):
    """A job that reports a phase and an epoch, leaves a file with its key, and ends as set.

    ends: `well`, `badly`, or `dies`, with the process it is in unless that is the one that made it.
    seconds: how long it takes.
    """

    folder: str
    ends: str
    seconds: float
    process: int

    def run(self, report: Callable[[RunEvent], object]) -> RunEvent:
        """Returns how it ended."""
        Path(self.folder, self.key).touch()
        report(PhaseStarted(self.key, "toy", 1))
        report(EpochEnded(self.key, {"epoch": 1}))
        time.sleep(self.seconds)
        if self.ends == "dies" and os.getpid() != self.process:
            os._exit(1)
        return Finished(self.key) if self.ends == "well" else Failed(self.key, "failed", self.ends)


def _jobs(folder: str, count: int, ends: str = "well", seconds: float = 0.0) -> list[ToyJob]:
    return [
        ToyJob(f"toy{n}", f"toy {n}", "data", 1, "cpu", folder, folder, ends, seconds, os.getpid())
        for n in range(count)
    ]


@contextmanager
def _built(subject: Subject) -> Iterator[tuple[Executor, str]]:
    """Builds an executor and a folder for what its runs leave, and shuts it down in the end."""
    with tempfile.TemporaryDirectory() as folder:
        made: Executor = subject.build(*GIVEN)
        try:
            yield made, folder
        finally:
            made.shutdown()


def _made(executor: Executor, jobs: list[ToyJob]) -> dict[str, list[RunEvent]]:
    """Submits every job as soon as there is room and waits for their ends.

    Returns what was reported of each.
    """
    reported: dict[str, list[RunEvent]] = {job.key: [] for job in jobs}
    waiting, until = list(jobs), time.monotonic() + _PATIENCE
    while not all(_ended(events) for events in reported.values()):
        while waiting and executor.free > 0:
            executor.submit(waiting.pop(0))
        for event in executor.events(_WAIT):
            expect(event.key in reported, f"{event!r}, of a run that it was not given")
            reported[event.key].append(event)
        silent = [key for key, events in reported.items() if not _ended(events)]
        forgotten = {*silent} - {*executor.running} - {job.key for job in waiting}
        expect(not forgotten, f"{', '.join(sorted(forgotten))} neither running nor ended")
        expect(time.monotonic() < until, f"no end of {', '.join(silent)} in {_PATIENCE:.0f} s")
    return reported


def _ended(events: list[RunEvent]) -> bool:
    return any(isinstance(event, (Finished, Failed, Lost)) for event in events)


def begins_with_room(subject: Subject) -> None:
    """Once built it has room for a run, and has none."""
    with _built(subject) as (made, _):
        room = made.free
        expect(type(room) is int and room >= 1, f"free is {room!r}")
        expect(not made.running, f"running are {list(made.running)}")


def makes_every_run_once(subject: Subject) -> None:
    """Every submitted run is made, and ends once, with the end that it reports itself."""
    with _built(subject) as (made, folder):
        well, badly = _jobs(folder, 3)[:2], _jobs(folder, 3, "badly")[2]
        reported = _made(made, [*well, badly])
        for job in (*well, badly):
            ends = [e for e in reported[job.key] if isinstance(e, (Finished, Failed, Lost))]
            wanted = Finished(job.key) if job.ends == "well" else Failed(job.key, "failed", "badly")
            expect(ends == [wanted], f"{ends}; expected {wanted}")
            expect(Path(folder, job.key).exists(), f"{job.key} was never made")


def reports_what_runs_report(subject: Subject) -> None:
    """What a run reports on the way is reported, in order, before its end."""
    with _built(subject) as (made, folder):
        (job,) = _jobs(folder, 1)
        found = _made(made, [job])[job.key]
        wanted: list[RunEvent] = [
            PhaseStarted(job.key, "toy", 1),
            EpochEnded(job.key, {"epoch": 1}),
        ]
        ended = next(
            n for n, event in enumerate(found) if isinstance(event, (Finished, Failed, Lost))
        )
        expect(found[:ended] == wanted, f"{found[:ended]}; expected {wanted}")


def knows_what_is_running(subject: Subject) -> None:
    """A run is among `running`, and takes room, from its submission to its reported end."""
    with _built(subject) as (made, folder):
        room = made.free
        (job,) = _jobs(folder, 1)
        made.submit(job)
        expect(
            list(made.running) == [job.key],
            f"running are {list(made.running)} after {job.key} was submitted",
        )
        expect(made.free < room, f"free was {room} and is {made.free} after a run was submitted")
        until = time.monotonic() + _PATIENCE
        while not _ended(list(made.events(_WAIT))):
            expect(
                list(made.running) == [job.key],
                f"running are {list(made.running)} before its end is reported",
            )
            expect(time.monotonic() < until, f"no end in {_PATIENCE:.0f} s")
        expect(not made.running, f"running are {list(made.running)} after the end was reported")
        expect(made.free == room, f"free was {room} and is {made.free} once it is done")


def tells_of_a_run_that_dies(subject: Subject) -> None:
    """A run that takes its process with it is `Lost`, and another one can be made."""
    with _built(subject) as (made, folder):
        dying, (_, other) = _jobs(folder, 1, "dies")[0], _jobs(folder, 2)
        end = _made(made, [dying])[dying.key][-1]
        if end == Failed(dying.key, "failed", "dies"):
            raise Unclaimed("it makes runs in this process, with which they would die")
        expect(isinstance(end, Lost), f"{end!r}")
        after = _made(made, [other])[other.key][-1]
        expect(after == Finished(other.key), f"{after!r} of the next run")


def waits_no_longer_than_it_may(subject: Subject) -> None:
    """Where nothing happens, waiting for events takes no longer than the given time."""
    with _built(subject) as (made, _):
        began = time.monotonic()
        found = list(made.events(_WAIT))
        took = time.monotonic() - began
        expect(not found, f"{found} without any run")
        expect(took < _WAIT + 2, f"{took:.1f} s; {_WAIT} s were given")


def shutting_down_begins_nothing(subject: Subject) -> None:
    """After `shutdown` nothing more begins, and a second one changes nothing."""
    with _built(subject) as (made, folder):
        for job in _jobs(folder, min(made.free, 4), seconds=0.3):
            made.submit(job)
        made.shutdown()
        time.sleep(0.2)  # a run may be about to begin while others are cancelled
        begun = set(os.listdir(folder))
        made.shutdown()
        time.sleep(0.5)
        late = set(os.listdir(folder)) - begun
        expect(not late, f"{', '.join(sorted(late))} began after it")


GIVEN: tuple[object, ...] = (Demand(runs=3, threads=1, device="cpu"),)
"""The positional constructor arguments of a component."""

CHECKS = (
    begins_with_room,
    makes_every_run_once,
    reports_what_runs_report,
    knows_what_is_running,
    tells_of_a_run_that_dies,
    waits_no_longer_than_it_may,
    shutting_down_begins_nothing,
)
