"""One run or many, requested, checked and made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from distillbench.api.stored import Run
from distillbench.config.grid import all_specs, layers, one_spec
from distillbench.config.run_spec import RunSpec
from distillbench.distributed.processes import SINGLE, Processes
from distillbench.evaluation.metric_set import installed_metrics
from distillbench.experiments.context import RunContext, find_device
from distillbench.experiments.executor import CheckedExecutor, usual_executor
from distillbench.experiments.executor import executor as built_executor
from distillbench.experiments.observers import check_observers
from distillbench.experiments.plan import Plan, plan
from distillbench.experiments.run import dry_run, run_experiment
from distillbench.experiments.sweep import Sweep, Watcher
from distillbench.interfaces import Metric
from distillbench.registry import discovery as installed
from distillbench.registry.discovery import Registry
from distillbench.results import failures, store
from distillbench.results.failures import Failure
from distillbench.results.folders import PathLike
from distillbench.texts import several
from distillbench.training.build import Experiment
from distillbench.training.callbacks import SILENT, Observer
from distillbench.training.output_cache import BUDGET

Requested: TypeAlias = PathLike | Mapping[str, object] | None

EXECUTOR = "executor."


@dataclass(frozen=True)
class RunRequest:
    """A run that can be made: nothing was written yet."""

    spec: RunSpec
    place: RunContext
    registry: Registry

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The installed metrics, by name."""
        return installed_metrics(self.registry)

    def dry_run(self) -> Experiment:
        """Checks a run as it is checked before training, and returns what it would train."""
        return dry_run(self.spec, self.place)

    def make(self, observer: Observer = SILENT) -> Run:
        """Makes the run, or finds that it was made before."""
        return Run(run_experiment(self.spec, self.place, self.registry, observer))


@dataclass(frozen=True)
class SweepRequest:
    """Runs that can be made: nothing was written yet.

    plan: which of them are left, and what they cost.
    """

    specs: Sequence[RunSpec]
    place: RunContext
    executor: CheckedExecutor
    plan: Plan
    metrics: Mapping[str, Metric]

    def make(self, watcher: Watcher | None = None) -> list[Run | Failure]:
        """Makes every run that is left.

        Returns all, in the order of the grid, those without a result with a reason.
        """
        results = self.place.results
        if self.plan.jobs:
            store.prepare(results)
            Sweep(self.plan, self.place, self.executor, watcher or Watcher()).run()
        failed = {failure.id: failure for failure in failures.load(results)[0]}
        return [
            failed.get(spec.key) or Run(store.read(results / f"{spec.key}.json", self.metrics))
            for spec in self.specs
        ]


def request_run(
    requested: Requested = None,
    *,
    settings: Mapping[str, object] | None = None,
    results: PathLike = "results",
    device: str = "auto",
    retrain: bool = False,
    again: bool = False,
    observe: Sequence[str] = (),
    cache_dir: str = "",
    cache_budget: int = BUDGET,
    processes: Processes = SINGLE,
    **choices: object,
) -> RunRequest:
    """Resolves and checks what is requested, as `run` takes it, and makes nothing."""
    registry = installed.discover()
    file, given = _settings(requested, settings, choices)
    spec = one_spec(registry, layers(registry, file, given, ()))
    check_observers(several(observe), registry)
    find_device(device)
    place = RunContext(
        Path(results),
        device,
        retrain,
        again,
        observers=several(observe),
        processes=processes,
        cache_dir=cache_dir,
        cache_budget=cache_budget,
    )
    return RunRequest(spec, place, registry)


def run(requested: Requested = None, *, observer: Observer = SILENT, **how: Any) -> Run:
    """Trains and evaluates one student, and stores its result.

    Returns what is stored where it was made before.

    requested: a TOML file, or settings by name. Settings are given by keyword too: `selector`, `k`,
    `schedule` and every other choice, and knobs by dotted name in `settings`, such as
    `{"student.cell_size": 64}`; they win.
    `results`: the folder. `device`: auto, cpu or cuda. `again`, `retrain`: make what is stored
    again, its teacher too.
    `observe`: names of observers. `observer`: is called as it goes on.
    """
    return request_run(requested, **how).make(observer)


def request_sweep(
    requested: Requested = None,
    *,
    settings: Mapping[str, object] | None = None,
    arms: Sequence[str] = (),
    results: PathLike = "results",
    device: str = "auto",
    retrain: bool = False,
    again: bool = False,
    observe: Sequence[str] = (),
    cache_dir: str = "",
    cache_budget: int = BUDGET,
    executor: str | None = None,
    workers: int | str | None = None,
    **choices: object,
) -> SweepRequest:
    """Resolves, checks and plans what is requested, as `sweep` takes it, and makes nothing."""
    registry = installed.discover()
    file, given = _settings(requested, settings, choices)
    knobs = taken_out(given, EXECUTOR)
    knobs |= {} if workers is None else {"workers": workers}
    specs = all_specs(registry, file, given, (), several(arms))
    check_observers(several(observe), registry)
    name = executor or usual_executor(registry)
    on = device_of(registry, name, device)
    chosen = built_executor(registry, name, knobs, specs, on)
    place = RunContext(
        Path(results),
        on,
        retrain,
        again,
        observers=several(observe),
        cache_dir=cache_dir,
        cache_budget=cache_budget,
    )
    return SweepRequest(specs, place, chosen, plan(specs, place), installed_metrics(registry))


def sweep(
    requested: Requested = None,
    *,
    watcher: Watcher | None = None,
    **how: Any,
) -> list[Run | Failure]:
    """Trains and evaluates every student of a grid, and returns all in the grid's order.

    Settings may be lists.

    requested: a TOML file, the name of one that a plugin brings, or settings by name; all else is
    as `run` takes it.
    `arms`: of a file that a tuning wrote, the arms to make; all of them if none is named.
    `executor`: where runs are made, its knobs in `settings` as `executor.KNOB`. `workers`: how many
    at once, or auto. A run without a result is a `Failure` with its `status` and its `reason`.

    Where runs are made in processes of this machine, a script must call this below `if __name__ ==
    "__main__":`.
    """
    return request_sweep(requested, **how).make(watcher)


def device_of(registry: Registry, executor: str, requested: str) -> str:
    """Returns the device of the runs of a sweep; another machine may have what this one lacks."""
    found = registry.find("executor", executor)
    return find_device(requested, here=found is None or not found.cls.remote).type  # type: ignore[attr-defined]


def taken_out(given: dict[str, object], section: str) -> dict[str, object]:
    """Takes the knobs of a section out of settings, and returns them by their own names."""
    names = [name for name in given if name.startswith(section)]
    return {name.removeprefix(section): given.pop(name) for name in names}


def _settings(
    requested: Requested, settings: Mapping[str, object] | None, choices: Mapping[str, object]
) -> tuple[Path | None, dict[str, object]]:
    """Tells a file from settings, and joins the settings; a keyword wins."""
    file, given = (None, requested) if isinstance(requested, Mapping) else (requested, {})
    joined = {**given, **(settings or {}), **choices}
    return None if file is None else Path(file), {
        name: list(value) if isinstance(value, (tuple, range)) else value
        for name, value in joined.items()
    }
