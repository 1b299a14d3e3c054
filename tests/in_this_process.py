"""An executor for tests: it makes each run in this process, where nothing has to be started or imported."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import ClassVar, Literal

from distillbench import hookimpl
from distillbench.interfaces import Demand, Executor, RunEvent, RunJob

NAME = "in-this-process"


class InThisProcess(Executor):
    """Makes one run after the other in this process.

    Knobs:
        workers: taken as `local` takes it, and ignored.
    """

    shares_machine: ClassVar[bool] = False

    def __init__(self, demand: Demand, *, workers: Literal["auto"] | int = "auto") -> None:
        self._job: RunJob | None = None

    @property
    def free(self) -> int:
        return int(self._job is None)

    @property
    def running(self) -> list[str]:
        return [] if self._job is None else [self._job.key]

    def submit(self, job: RunJob) -> None:
        self._job = job

    def events(self, timeout: float) -> Iterator[RunEvent]:
        if self._job is None:
            time.sleep(min(timeout, 0.01))
            return
        reported: list[RunEvent] = []
        end = self._job.run(reported.append)
        self._job = None
        yield from [*reported, end]

    def shutdown(self) -> None:
        self._job = None


@hookimpl
def executors() -> dict[str, type[Executor]]:
    return {NAME: InThisProcess}
