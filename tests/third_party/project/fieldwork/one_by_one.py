"""An executor: a process for every run, one after the other."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import ClassVar

from distillbench import hookimpl
from distillbench.interfaces import Demand, Executor, Failed, Finished, Lost, RunEvent, RunJob

_SPAWN = multiprocessing.get_context("spawn")


def _make(job: RunJob, there: Connection) -> None:
    there.send(job.run(there.send))


class OneByOne(Executor):
    """Makes each run in a process of its own, which ends with it."""

    shares_machine: ClassVar[bool] = False

    def __init__(self, demand: Demand) -> None:
        self._key: str | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._here: Connection | None = None

    @property
    def free(self) -> int:
        """One, where no run is being made."""
        return int(self._key is None)

    @property
    def running(self) -> list[str]:
        """The run that is being made."""
        return [] if self._key is None else [self._key]

    def submit(self, job: RunJob) -> None:
        """Begins a run."""
        self._here, there = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_make, args=(job, there), daemon=True)
        self._process.start()
        there.close()
        self._key = job.key

    def events(self, timeout: float) -> Iterator[RunEvent]:
        """Yields what the run reports; its death is `Lost`."""
        if self._key is None or self._here is None or self._process is None:
            time.sleep(min(timeout, 0.01))
            return
        try:
            if not self._here.poll(timeout):
                return
            event: RunEvent = self._here.recv()
        except (EOFError, OSError):
            self._process.join()
            event = Lost(self._key, f"its process ended with {self._process.exitcode}")
        if isinstance(event, (Finished, Failed, Lost)):
            self._key = None
        yield event

    def shutdown(self) -> None:
        """Ends the run that is being made; its last checkpoint stays."""
        if self._process is not None and self._process.is_alive():
            self._process.terminate()
            self._process.join(5)


@hookimpl
def executors() -> dict[str, type[Executor]]:
    """Offers `one-by-one`."""
    return {"one-by-one": OneByOne}
