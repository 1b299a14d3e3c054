"""Has the runs of a plan made by an executor: teachers first, each once.

A run that fails is a row with a reason.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distillbench.errors import ResultError
from distillbench.experiments.context import RunContext
from distillbench.experiments.executor import CheckedExecutor
from distillbench.experiments.jobs import packed
from distillbench.experiments.plan import Job, Plan
from distillbench.experiments.shared_folder import SharedFolder
from distillbench.experiments.stored import find_stored
from distillbench.interfaces import (
    EpochEnded,
    Failed,
    Finished,
    Lost,
    PhaseStarted,
    RunEvent,
    RunStatus,
)
from distillbench.results import failures, store
from distillbench.results.store import Result, read
from distillbench.training.teacher_store import TeacherStore

_PAUSE = 0.4  # seconds
_PATIENCE = 90.0
"""Seconds after which a file must be seen that another machine wrote: NFS looks once a minute."""


class Watcher:
    """Is called as a sweep goes on; does nothing unless a method is overridden."""

    def started(self, job: Job) -> None:
        """A run was submitted."""

    def trained(self, job: Job, row: Mapping[str, Any]) -> None:
        """A run ended an epoch; `row` is its line in the history."""

    def finished(self, job: Job, result: Result) -> None:
        """A run has its result."""

    def failed(self, job: Job, status: RunStatus, reason: str, again: bool) -> None:
        """A run has no result; `again`: it will be tried once more."""

    def stopped(self, job: Job, reason: str, reached: float | None) -> None:
        """A run was stopped, as it was asked to be; `reached`: how good it was by then."""

    def elsewhere(self) -> None:
        """Another process was found to make some of the runs, or their teachers; called once."""

    def waited(self) -> None:
        """Some time went by; called at least twice a second."""


@dataclass
class _State:
    """Which runs wait, which are being made, and where each teacher stands.

    unseen: runs that finished and whose result is not to be seen yet, and until when it may be so.
    """

    pending: list[Job]
    ready: set[str]
    running: dict[str, Job] = field(default_factory=dict)
    leading: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, float] = field(default_factory=dict)


class Sweep:
    """One pass over a plan's jobs.

    Sweeps of several processes share a folder: what one has in hand the others leave to it, and
    take from it once it is made.
    """

    def __init__(
        self, plan: Plan, context: RunContext, executor: CheckedExecutor, watcher: Watcher
    ) -> None:
        self.context, self.executor, self.watcher = context, executor, watcher
        at_once = max(1, min(executor.free, len(plan.jobs)))
        self.runs_beside = at_once - 1 if executor.shares_machine else 0
        self.state = _State(_in_order(plan), set(plan.stored_teachers))
        self.teachers = TeacherStore(context.results / "teachers")
        self.shared = SharedFolder(
            context.results, {file for job in plan.jobs for file in self._files(job)}
        )
        self.is_alone = True

    def run(self) -> None:
        """Makes every run.

        Whatever ends this early, Ctrl-C included, ends the runs that are going on, too.
        """
        store.prepare(self.context.results)
        try:
            while self.state.pending or self.state.running:
                while self.executor.free > 0 and (job := self._next()) is not None:
                    self._begin(job)
                idle, asked = not self.state.running, time.monotonic()
                for event in self.executor.events(_PAUSE):
                    self._handle(event)
                for key in list(self.state.unseen):
                    self._finish(self.state.running[key])
                self.watcher.waited()
                if idle and self.state.pending:  # no event tells of what others make
                    time.sleep(max(0.0, _PAUSE - (time.monotonic() - asked)))
        except BaseException:
            self.executor.abandon()
            raise
        finally:
            self.shared.close()
        self.executor.shutdown()

    def _next(self) -> Job | None:
        """Takes the first job whose teacher is stored, shared by nobody, or in nobody's hands."""
        busy = set(self.state.leading.values())
        for place, job in enumerate(self.state.pending):
            teacher = self._leads(job)
            if teacher in busy:
                continue
            taken = self._claim(job, teacher)
            if taken is None:
                return self.state.pending.pop(place)
            if teacher is not None and taken == self.teachers.path(teacher):
                busy.add(teacher)
        return None

    def _leads(self, job: Job) -> str | None:
        """Returns the teacher that a job would train for others, if there is one."""
        return None if job.teacher in self.state.ready else job.teacher

    def _files(self, job: Job) -> list[Path]:
        """Lists what a job leaves: the teacher that it may train for others, and its result."""
        teacher = [] if job.teacher is None else [self.teachers.path(job.teacher)]
        return [*teacher, self._result(job)]

    def _result(self, job: Job) -> Path:
        return self.context.results / f"{job.spec.key}.json"

    def _claim(self, job: Job, teacher: str | None) -> Path | None:
        """Keeps other processes off a job, and off the teacher that it would train.

        Returns which file another one has in hand, None where that is neither.
        """
        teachers = [] if teacher is None else [self.teachers.path(teacher)]
        taken = self.shared.claim(*teachers, self._result(job))
        if taken is not None:
            if self.is_alone:
                self.is_alone = False
                self.watcher.elsewhere()
        elif teacher is not None and self.shared.was_made(*teachers):
            self.state.ready.add(teacher)
            self.shared.leave(*teachers)
        return taken

    def _begin(self, job: Job) -> None:
        """Submits a job, or takes its result from another process that made it meanwhile."""
        key = job.spec.key
        self.state.running[key] = job
        self.state.attempts[key] = self.state.attempts.get(key, 0) + 1
        if (found := self._made_elsewhere(job)) is None:
            self._submit(job)
        else:
            self.watcher.started(job)
            self._end(job, found)

    def _made_elsewhere(self, job: Job) -> Result | None:
        if not self.shared.was_made(self._result(job)):
            return None
        with suppress(ResultError):
            return find_stored(job.spec, job.data, self.context.results)
        return None

    def _submit(self, job: Job) -> None:
        teacher = self._leads(job)
        if teacher is not None:
            self.state.leading[job.spec.key] = teacher
        retrain = self.context.retrain
        # A teacher is trained again by the run that leads; the others take what it stored.
        place = dataclasses.replace(
            self.context,
            retrain=retrain and teacher is not None,
            again=self.context.again or retrain,
            runs_beside=self.runs_beside,
        )
        self.executor.submit(packed(job.spec, place))
        self.watcher.started(job)

    def _handle(self, event: RunEvent) -> None:
        job = self.state.running[event.key]
        match event:
            case PhaseStarted(_, name):
                if name != job.spec.phases[0].name:
                    self._teacher_is_stored(event.key)
            case EpochEnded(_, row):
                self.watcher.trained(job, row)
            case Finished():
                self._finish(job)
            case Failed(_, "stopped", reason, reached):
                self._stop(job, reason, reached)
            case Failed(_, status, reason):
                self._fail(job, status, reason, may_repeat=False)
            case Lost(_, reason):
                self._fail(job, "failed", reason, may_repeat=True)

    def _finish(self, job: Job) -> None:
        key = job.spec.key
        self._teacher_is_stored(key)
        path = self._result(job)
        until = self.state.unseen.pop(key, time.monotonic() + _PATIENCE)
        if self.executor.remote and not path.exists() and time.monotonic() < until:
            self.state.unseen[key] = until
            return
        try:
            result = read(path)
        except ResultError as error:  # somebody took or broke the file since
            self._fail(job, "failed", str(error), may_repeat=True)
            return
        self._end(job, result)

    def _end(self, job: Job, result: Result) -> None:
        self._leave(job)
        failures.forget(self.context.results, job.spec.key)
        self.watcher.finished(job, result)

    def _leave(self, job: Job) -> None:
        """Lets others have a job that ended, and the teacher that it may have trained."""
        del self.state.running[job.spec.key]
        self.shared.leave(*self._files(job))

    def _teacher_is_stored(self, key: str) -> None:
        teacher = self.state.leading.pop(key, None)
        if teacher is not None:
            self.state.ready.add(teacher)
            self.shared.leave(self.teachers.path(teacher))

    def _stop(self, job: Job, reason: str, reached: float | None) -> None:
        """Forgets a run that was meant to end so: it has no result, and is no failure."""
        self._teacher_is_stored(job.spec.key)
        self._leave(job)
        self.watcher.stopped(job, reason, reached)

    def _fail(self, job: Job, status: RunStatus, reason: str, may_repeat: bool) -> None:
        key = job.spec.key
        del self.state.running[key]
        self.state.leading.pop(key, None)
        attempts = self.state.attempts[key]
        failures.keep(self.context.results, job.spec, status, reason, attempts)
        again = may_repeat and attempts < self.executor.attempts
        if again:  # at once: its checkpoint may hold the half of a teacher that others wait for
            self.state.pending.insert(0, job)
        else:
            self.shared.leave(*self._files(job))
        self.watcher.failed(job, status, reason, again)


def _in_order(plan: Plan) -> list[Job]:
    """Moves one run of each untrained teacher to the front, the cheapest.

    The other runs of that teacher then find it stored.
    """
    first: dict[str, Job] = {}
    teachers = plan.teachers
    for job in plan.jobs:
        if job.teacher in teachers and job.teacher is not None:
            cheapest = first.setdefault(job.teacher, job)
            if job.work < cheapest.work:
                first[job.teacher] = job
    leaders = list(first.values())
    leading = {job.spec.key for job in leaders}
    return leaders + [job for job in plan.jobs if job.spec.key not in leading]
