"""Long-lived worker processes that answer one run at a time; one that is killed takes its run alone with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Literal

from distillbench.errors import ConfigError, DistillbenchError, NotApplicableError
from distillbench.interfaces import Splits
from distillbench.registry import Registry, discover
from distillbench.results.answer import Workplace, answer
from distillbench.setup import Setup, digest
from distillbench.training.assemble import open_data
from distillbench.training.observer import Observer

_CONTEXT = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads, which do not live on in it


@dataclass(frozen=True)
class Event:
    """Something that a worker told: of which run, and what.

    what: `phase` (name: str, epochs: int), `epoch` (a row of the history), `said` (a message), `answered`,
    `failed` (status, reason) or `died` (reason: what ended the process).
    """

    key: str
    what: Literal["phase", "epoch", "said", "answered", "failed", "died"]
    content: Any


class Workers:
    """So many processes, started when they are first needed and replaced when they die."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._workers: list[_Worker] = []

    @property
    def free(self) -> int:
        """How many runs could be given out now."""
        return self.count - sum(worker.key is not None for worker in self._workers)

    def give(self, setup: Setup, workplace: Workplace) -> None:
        """Gives a run to a worker that has none, preferably to one that has the run's data open."""
        data = digest(setup.data.describe())
        idle = [worker for worker in self._workers if worker.key is None]
        chosen = next((worker for worker in idle if worker.data == data), idle[0] if idle else None)
        if chosen is None:
            chosen = _Worker()
            self._workers.append(chosen)
        chosen.give(setup, workplace, data)

    def events(self, seconds: float) -> Iterator[Event]:
        """Waits up to so many seconds for something to be told, and yields all that was."""
        wait([item for w in self._workers for item in (w.connection, w.process.sentinel)], seconds)
        for worker in list(self._workers):
            yield from worker.told()
            if not worker.process.is_alive():
                yield from worker.told()
                self._workers.remove(worker)
                if worker.key is not None:
                    yield Event(worker.key, "died", _cause(worker.process.exitcode))

    def stop(self) -> None:
        """Ends every process; what a run had reached is kept in its last checkpoint."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers = []


class _Worker:
    """One process, seen from the parent."""

    def __init__(self) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_serve, args=(theirs,), name="distillbench-worker", daemon=True)
        self.process.start()
        theirs.close()
        self.key: str | None = None
        self.data: str | None = None

    def give(self, setup: Setup, workplace: Workplace, data: str) -> None:
        self.key, self.data = setup.key, data
        try:
            self.connection.send((setup, workplace, data))
        except OSError:  # it died since it was last looked at, which `events` will tell
            return

    def told(self) -> Iterator[Event]:
        try:
            while self.connection.poll():
                event: Event = self.connection.recv()
                if event.what in ("answered", "failed"):
                    self.key = None
                yield event
        except (EOFError, OSError):
            return


def _cause(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        memory = ", often by the system when memory runs out" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{memory}"
    return f"its process ended by itself with exit code {exit_code}"


def _serve(connection: Connection) -> None:
    """Answers runs until the parent goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    opened: dict[str, Splits] = {}
    registry = discover()
    while True:
        try:
            setup, workplace, data = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(_outcome(setup, workplace, data, opened, registry, connection))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _outcome(
    setup: Setup,
    workplace: Workplace,
    data: str,
    opened: dict[str, Splits],
    registry: Registry,
    connection: Connection,
) -> Event:
    try:
        if data not in opened:
            opened.clear()
            opened[data] = open_data(setup)
        answer(setup, workplace, registry, _Telling(setup.key, connection), splits=opened[data])
    except NotApplicableError as error:
        return Event(setup.key, "failed", ("not applicable", "; ".join(error.problems)))
    except DistillbenchError as error:
        return Event(setup.key, "failed", ("failed", str(error)))
    except Exception as error:  # a fault of ours or of a plugin costs its run, not the sweep
        return Event(setup.key, "failed", ("failed", f"{type(error).__name__}: {error}"))
    return Event(setup.key, "answered", None)


class _Telling(Observer):
    """Tells the parent of phases, epochs and messages."""

    def __init__(self, key: str, connection: Connection) -> None:
        self._key, self._connection = key, connection

    def phase_started(self, name: str, epochs: int, steps: int, done: int) -> None:
        self._connection.send(Event(self._key, "phase", (name, epochs)))

    def epoch_ended(self, row: Mapping[str, Any]) -> None:
        self._connection.send(Event(self._key, "epoch", dict(row)))

    def said(self, message: str) -> None:
        self._connection.send(Event(self._key, "said", message))


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fastest_count(asked: str, setups: Sequence[Setup], cuda: bool) -> int:
    """Turns `auto` into how many workers are fastest: one a core of those that each run does not use itself.

    On a GPU one run at a time, which has its whole memory. Raises `ConfigError` where a number is asked for that is none.
    """
    if asked != "auto":
        if not asked.isdigit() or int(asked) < 1:
            raise ConfigError([f"--workers takes auto or a whole number of at least 1; found '{asked}'"])
        return int(asked)
    threads = max((setup.training.threads or cores() for setup in setups), default=1)
    return 1 if cuda else max(1, min(len(setups), cores() // threads))
