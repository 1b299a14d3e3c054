"""Long-lived worker processes on this machine; one that is killed takes its run alone with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from typing import ClassVar, Literal

from distillbench import hookimpl
from distillbench.interfaces import Demand, Executor, Failed, Finished, Lost, RunEvent, RunJob
from distillbench_plugins.layers.knobs import refuse
from distillbench_plugins.layers.workers import wrong_workers

# A fork would inherit torch's threads, which do not live on in it.
_CONTEXT = multiprocessing.get_context("spawn")


class Local(Executor):
    """Processes on this machine, started when they are first needed and replaced when they die.

    Knobs:
        workers: how many runs at once; auto: on CPUs one for each core that a run does not use
            itself, on a GPU one.
        attempts: how often a run is begun whose process is killed.
    """

    is_default: ClassVar[bool] = True
    shares_machine: ClassVar[bool] = True

    def __init__(
        self, demand: Demand, *, workers: Literal["auto"] | int = "auto", attempts: int = 2
    ) -> None:
        refuse(wrong_workers("local", workers, attempts))
        self.attempts = attempts
        self.count = _fastest(demand) if workers == "auto" else workers
        self._workers: list[_Worker] = []

    @property
    def free(self) -> int:
        """How many workers have no run."""
        return self.count - len(self.running)

    @property
    def running(self) -> list[str]:
        """The runs that workers have."""
        return [worker.key for worker in self._workers if worker.key is not None]

    def submit(self, job: RunJob) -> None:
        """Gives a run to a worker that has none, preferably to one that has the run's data open."""
        idle = [worker for worker in self._workers if worker.key is None]
        chosen = next(
            (worker for worker in idle if worker.data == job.data), idle[0] if idle else None
        )
        if chosen is None:
            chosen = _Worker()
            self._workers.append(chosen)
        chosen.give(job)

    def events(self, timeout: float) -> Iterator[RunEvent]:
        """Waits for a worker to report something or to die, and yields all that was."""
        wait([item for w in self._workers for item in (w.connection, w.process.sentinel)], timeout)
        for worker in list(self._workers):
            yield from worker.reported()
            if not worker.process.is_alive():
                yield from worker.reported()
                self._workers.remove(worker)
                if worker.key is not None:
                    yield Lost(worker.key, _cause(worker.process.exitcode))

    def shutdown(self) -> None:
        """Ends every process."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers = []


def _fastest(demand: Demand) -> int:
    """One worker for each core that a run does not use itself.

    On a GPU one, which has its whole memory.
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    threads = demand.threads or cores
    return 1 if demand.device == "cuda" else max(1, min(demand.runs, cores // threads))


class _Worker:
    """One process, seen from the parent."""

    def __init__(self) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(
            target=_serve, args=(theirs,), name="distillbench-worker", daemon=True
        )
        self.process.start()
        theirs.close()
        self.key: str | None = None
        self.data: str | None = None

    def give(self, job: RunJob) -> None:
        self.key, self.data = job.key, job.data
        try:
            self.connection.send(job)
        except OSError:  # it died since it was last looked at, which `events` will report
            return

    def reported(self) -> Iterator[RunEvent]:
        try:
            while self.connection.poll():
                event: RunEvent = self.connection.recv()
                if isinstance(event, (Finished, Failed)):
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
    """Makes runs until the parent goes away."""
    # Ctrl-C reaches every process of the terminal; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            job: RunJob = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(job.run(connection.send))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@hookimpl
def executors() -> dict[str, type[Executor]]:
    """Offers `local`."""
    return {"local": Local}
