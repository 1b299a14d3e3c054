"""Makes the runs of a plan in worker processes: teachers first, each once; a run that fails is a row with a reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distillbench.errors import ResultError
from distillbench.results import failures
from distillbench.results.answer import Workplace
from distillbench.results.failures import Status
from distillbench.results.planning import Job, Plan
from distillbench.results.record import Result, read
from distillbench.results.workers import Event, Workers

_ATTEMPTS = 2
"""How often a run is begun whose process is killed."""


class Watcher:
    """Hears what a sweep does; does nothing with it unless a method is overridden."""

    def started(self, job: Job) -> None:
        """A run was given to a worker."""

    def trained(self, job: Job, row: Mapping[str, Any]) -> None:
        """A run ended an epoch; `row` is its line in the history."""

    def answered(self, job: Job, result: Result) -> None:
        """A run has its result."""

    def failed(self, job: Job, status: Status, reason: str, again: bool) -> None:
        """A run has no result; `again`: it will be tried once more."""

    def waited(self) -> None:
        """Some time went by; called at least twice a second."""


@dataclass
class _State:
    """Which runs wait, which are being made, and where each teacher stands."""

    pending: list[Job]
    ready: set[str]
    running: dict[str, Job] = field(default_factory=dict)
    leading: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)


class Sweep:
    """One pass over a plan's jobs."""

    def __init__(self, plan: Plan, workplace: Workplace, workers: int, watcher: Watcher) -> None:
        self.workplace, self.watcher = workplace, watcher
        self.workers = Workers(max(1, min(workers, len(plan.jobs))))
        self.state = _State(_in_order(plan), set(plan.stored_teachers))

    def run(self) -> None:
        """Makes every run; whatever ends this early, Ctrl-C included, ends the workers too."""
        try:
            while self.state.pending or self.state.running:
                while self.workers.free and (job := self._next()) is not None:
                    self._give(job)
                for event in self.workers.events(0.4):
                    self._hear(event)
                self.watcher.waited()
        finally:
            self.workers.stop()

    def _next(self) -> Job | None:
        """Takes the first job whose teacher is stored, shared by nobody, or in nobody's hands."""
        busy = set(self.state.leading.values())
        for job in self.state.pending:
            if job.teacher is None or job.teacher in self.state.ready or job.teacher not in busy:
                self.state.pending.remove(job)
                return job
        return None

    def _give(self, job: Job) -> None:
        key = job.setup.key
        leads = job.teacher is not None and job.teacher not in self.state.ready
        if leads and job.teacher is not None:
            self.state.leading[key] = job.teacher
        self.state.running[key] = job
        self.state.attempts[key] = self.state.attempts.get(key, 0) + 1
        retrain = self.workplace.retrain
        # A teacher is trained again by the run that leads; the others take what it stored.
        place = dataclasses.replace(
            self.workplace,
            retrain=retrain and leads,
            again=self.workplace.again or retrain,
            beside=self.workers.count - 1,
        )
        self.workers.give(job.setup, place)
        self.watcher.started(job)

    def _hear(self, event: Event) -> None:
        job = self.state.running[event.key]
        if event.what == "phase":
            if event.content[0] != job.setup.phases[0].name:
                self._teacher_is_stored(event.key)
        elif event.what == "epoch":
            self.watcher.trained(job, event.content)
        elif event.what == "answered":
            self._teacher_is_stored(event.key)
            try:
                result = read(self.workplace.results / f"{event.key}.json")
            except ResultError as error:  # somebody took or broke the file since
                self._fail(job, "failed", str(error), may_repeat=True)
                return
            del self.state.running[event.key]
            failures.forget(self.workplace.results, event.key)
            self.watcher.answered(job, result)
        elif event.what == "failed":
            status, reason = event.content
            self._fail(job, status, reason, may_repeat=False)
        elif event.what == "died":
            self._fail(job, "failed", event.content, may_repeat=True)

    def _teacher_is_stored(self, key: str) -> None:
        teacher = self.state.leading.pop(key, None)
        if teacher is not None:
            self.state.ready.add(teacher)

    def _fail(self, job: Job, status: Status, reason: str, may_repeat: bool) -> None:
        key = job.setup.key
        del self.state.running[key]
        self.state.leading.pop(key, None)
        attempts = self.state.attempts[key]
        failures.keep(self.workplace.results, job.setup, status, reason, attempts)
        again = may_repeat and attempts < _ATTEMPTS
        if again:
            self.state.pending.append(job)
        self.watcher.failed(job, status, reason, again)


def _in_order(plan: Plan) -> list[Job]:
    """Puts one run of each teacher that is to be trained first, the cheapest, so that the others soon find it."""
    first: dict[str, Job] = {}
    teachers = plan.teachers
    for job in plan.jobs:
        if job.teacher in teachers and job.teacher is not None:
            cheapest = first.setdefault(job.teacher, job)
            if job.work < cheapest.work:
                first[job.teacher] = job
    leaders = list(first.values())
    leading = {job.setup.key for job in leaders}
    return leaders + [job for job in plan.jobs if job.setup.key not in leading]
