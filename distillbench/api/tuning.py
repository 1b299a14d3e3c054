"""Settings, searched for by trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillbench.api.requests import EXECUTOR, device_of, taken_out
from distillbench.config.layers import Layer
from distillbench.config.tuning import read_tuning
from distillbench.errors import ConfigError
from distillbench.evaluation.metric_set import installed_metrics
from distillbench.experiments.context import RunContext
from distillbench.experiments.executor import executor as built_executor
from distillbench.experiments.executor import usual_executor
from distillbench.experiments.plan import Plan
from distillbench.experiments.sweep import Sweep, Watcher
from distillbench.experiments.tune import Searched, Tune
from distillbench.experiments.tuner import tuner_of
from distillbench.interfaces import Metric, Trial
from distillbench.registry import discovery as installed
from distillbench.registry.discovery import Registry
from distillbench.results.folders import PathLike
from distillbench.texts import several
from distillbench.training.output_cache import BUDGET

_TUNER = "tuner."
_TRIALS = 8


@dataclass(frozen=True)
class TuneRequest:
    """A search that can be made: nothing was written yet.

    search: what is searched, and after `make` what was found.
    """

    search: Tune
    runs: Callable[[Plan, RunContext, Watcher], None]
    metrics: Mapping[str, Metric]

    def make(self, watcher: Watcher | None = None) -> list[Searched]:
        """Makes every trial that is left, and returns the arms with their trials."""
        self.search.run(self.runs, watcher or Watcher())
        return self.search.searched


def request_tune(
    file: PathLike | None = None,
    *,
    settings: Mapping[str, object] | None = None,
    tried: Sequence[str] = (),
    trials: int | None = None,
    at_once: int = 2,
    stop_early: bool = True,
    tuner: str | None = None,
    results: PathLike = "results/trials",
    device: str = "auto",
    executor: str | None = None,
    workers: int | str | None = None,
    cache_dir: str = "",
    cache_budget: int = BUDGET,
) -> TuneRequest:
    """Resolves and checks a search, as `tune` takes it, and makes nothing."""
    registry = installed.discover()
    given = dict(settings or {})
    executor_knobs, tuner_knobs = (taken_out(given, each) for each in (EXECUTOR, _TUNER))
    executor_knobs |= {} if workers is None else {"workers": workers}
    tuning = read_tuning(None if file is None else Path(file), several(tried))
    name = executor or usual_executor(registry)
    on = device_of(registry, name, device)
    place = RunContext(Path(results), on, cache_dir=cache_dir, cache_budget=cache_budget)
    search = Tune(
        tuning,
        Layer("flag", given),
        registry,
        place,
        tuner_of(registry, tuner or _usual_tuner(registry), tuner_knobs),
        trials=trials or tuning.trials or _TRIALS,
        at_once=at_once,
        stops=stop_early,
    )

    def make(planned: Plan, context: RunContext, watcher: Watcher) -> None:
        specs = [job.spec for job in planned.jobs]
        made = built_executor(registry, name, executor_knobs, specs, context.device)
        Sweep(planned, context, made, watcher).run()

    return TuneRequest(search, make, installed_metrics(registry))


@dataclass(frozen=True)
class TunedArm:
    """An arm of a search.

    settings: with which its runs are made, what was chosen among them; None where no trial has a
        result.
    trials: of this arm, in order.
    """

    name: str
    settings: Mapping[str, object] | None
    trials: Sequence[Trial]


def tune(
    file: PathLike | None = None, *, watcher: Watcher | None = None, **how: Any
) -> list[TunedArm]:
    """Chooses the settings of methods by trials on validation videos, and returns what was chosen.

    file: TOML with arms and what is tried, as `distillbench tune` reads it.
    `tried`: SETTING=VALUES of what is tried for all arms. `trials`: of each arm. `settings`: of
    all. `at_once`, `stop_early`, `tuner`, `results`, `executor`, `workers` are those of the
    command.

    Where runs are made in processes of this machine, a script must call this below `if __name__ ==
    "__main__":`.
    """
    request = request_tune(file, **how)
    searched = request.make(watcher)
    return [
        TunedArm(each.arm.name, request.search.settings_of(each), each.tuner.trials())
        for each in searched
    ]


def _usual_tuner(registry: Registry) -> str:
    names = registry.names("tuner")
    if not names:
        raise ConfigError(["no tuner is installed; --tuner names one"])
    return names[0]
