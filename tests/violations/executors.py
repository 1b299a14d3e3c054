"""An correct executor, which makes runs in this process, and for each promise one that breaks it alone."""

from __future__ import annotations

import threading
import time
from collections import deque

from violations.violating import violating

from distillbench.interfaces import EpochEnded, Executor, Failed, Finished


def build(self, demand) -> None:
    self.room, self.queue = 2, deque()


def running(self):
    return [job.key for job in self.queue]


def free(self):
    return self.room - len(self.queue)


def submit(self, job) -> None:
    self.queue.append(job)


def events(self, timeout):
    if not self.queue:
        time.sleep(timeout)
        return
    found = []
    end = self.queue[0].run(found.append)
    yield from found
    self.queue.popleft()
    yield end


def shutdown(self) -> None:
    self.queue.clear()


PARTS = {
    "__init__": build,
    "free": property(free),
    "running": property(running),
    "submit": submit,
    "events": events,
    "shutdown": shutdown,
}
CORRECT = violating(Executor, PARTS)


def has_somebody_elses_run_at_first(self):
    self.begun = getattr(self, "begun", False) or bool(self.queue)
    return running(self) if self.begun else ["ghost"]


def says_that_every_run_ended_well(self, timeout):
    for event in events(self, timeout):
        yield (
            Finished(event.key) if isinstance(event, Failed) and event.reason == "badly" else event
        )


def forgets_epochs(self, timeout):
    yield from (event for event in events(self, timeout) if not isinstance(event, EpochEnded))


def always_has_room(self):
    return self.room


def says_that_the_dead_failed(self, timeout):
    """Makes as if the run had died, as one of another process would, and calls that a failure."""
    for event in events(self, timeout):
        died = isinstance(event, Failed) and event.reason == "dies"
        yield Failed(event.key, "failed", "its process died") if died else event


def waits_too_long(self, timeout):
    if not self.queue:
        time.sleep(timeout + 2.1)
        return
    yield from events(self, timeout)


def begins_later(self) -> None:
    left = list(self.queue)
    self.queue.clear()
    if left:
        threading.Timer(0.4, lambda: left[0].run(lambda event: None)).start()


VIOLATIONS = [
    (
        "begins_with_room",
        violating(Executor, PARTS, running=property(has_somebody_elses_run_at_first)),
    ),
    ("makes_every_run_once", violating(Executor, PARTS, events=says_that_every_run_ended_well)),
    ("reports_what_runs_report", violating(Executor, PARTS, events=forgets_epochs)),
    ("knows_what_is_running", violating(Executor, PARTS, free=property(always_has_room))),
    ("tells_of_a_run_that_dies", violating(Executor, PARTS, events=says_that_the_dead_failed)),
    ("waits_no_longer_than_it_may", violating(Executor, PARTS, events=waits_too_long)),
    ("shutting_down_begins_nothing", violating(Executor, PARTS, shutdown=begins_later)),
]
