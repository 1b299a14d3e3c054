"""An executor that makes nothing: what it answers is written beforehand."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from results.made_up import content_of

from distillbench.config.run_spec import RunSpec
from distillbench.experiments.context import RunContext
from distillbench.experiments.executor import CheckedExecutor
from distillbench.experiments.plan import Plan
from distillbench.experiments.sweep import Sweep, Watcher
from distillbench.interfaces import (
    Executor,
    Finished,
    PhaseStarted,
    RunEvent,
    RunJob,
)
from distillbench.registry.discovery import Component

MakeSetup = Callable[..., RunSpec]


class Scripted(Executor):
    """Makes nothing: every run is answered at once, except those that get lost or fail."""

    def __init__(self, answers: Callable[[RunSpec, RunContext], list[RunEvent]]) -> None:
        self.count, self.given, self._answers = 2, list[RunSpec](), answers
        self._waiting: dict[str, list[RunEvent]] = {}
        self.places: dict[str, list[RunContext]] = {}
        self.stopped = False

    @property
    def free(self) -> int:
        return self.count - len(self._waiting)

    @property
    def running(self) -> list[str]:
        return list(self._waiting)

    def submit(self, job: RunJob) -> None:
        spec, context = pickle.loads(pickle.loads(pickle.dumps(job)).packed)
        self.given.append(spec)
        self.places.setdefault(spec.key, []).append(context)
        self._waiting[job.key] = self._answers(spec, context)

    def events(self, timeout: float) -> Iterator[RunEvent]:
        for key, left in list(self._waiting.items()):
            if len(left) == 1:
                del self._waiting[key]
            yield left.pop(0)

    def shutdown(self) -> None:
        self.stopped = True


SCRIPTED = Component("executor", "scripted", Scripted, "somebody", "1")


def answers(spec: RunSpec, context: RunContext) -> list[RunEvent]:
    path = context.results / f"{spec.key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = dict.fromkeys(("gap", "map_at_20", "map", "hit_at_1", "perr"), 0.5)
    files = {"network": "network.safetensors", "predictions": "predictions.safetensors"}
    content = {"format": 2, **content_of(spec), "metrics": numbers, "files": files}
    path.write_text(json.dumps(content))
    return [*(PhaseStarted(spec.key, p.name, p.epochs) for p in spec.phases), Finished(spec.key)]


def sweep(planned: Plan, folder: Path, script: Scripted, **place: Any) -> Scripted:
    checked = CheckedExecutor(SCRIPTED, script)
    try:
        Sweep(planned, RunContext(folder, "cpu", **place), checked, Watcher()).run()
    finally:
        assert script.stopped
    return script
