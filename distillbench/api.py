"""distillbench from Python: what the command line does, as functions that return what they found.

`import distillbench` offers these names lazily, so that importing it takes no time.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from distillbench.analysis import comparison
from distillbench.analysis import leaderboard as rows_of
from distillbench.analysis.board import leaderboard
from distillbench.analysis.comparison import Comparison, Side
from distillbench.analysis.contrasts import Answer, answers, read_contrasts
from distillbench.config.grid import all_specs, layers, one_spec
from distillbench.config.layers import Layer
from distillbench.config.run_spec import RunSpec
from distillbench.config.tuning import read_tuning
from distillbench.data.in_memory import InMemoryVideos
from distillbench.distributed.processes import SINGLE, Processes
from distillbench.errors import ConfigError, ResultError
from distillbench.evaluation.metric_set import installed_metrics
from distillbench.evaluation.quantization import quantized
from distillbench.evaluation.scores import Scores, scores_of
from distillbench.experiments.context import RunContext, find_device
from distillbench.experiments.executor import CheckedExecutor, usual_executor
from distillbench.experiments.executor import executor as built_executor
from distillbench.experiments.network_description import network_from
from distillbench.experiments.observers import check_observers
from distillbench.experiments.plan import Plan, plan
from distillbench.experiments.predict import Predictor, gathered
from distillbench.experiments.restore import RestoredRun, restore
from distillbench.experiments.run import dry_run, run_experiment
from distillbench.experiments.sweep import Sweep, Watcher
from distillbench.experiments.tune import Searched, Tune
from distillbench.experiments.tuner import tuner_of
from distillbench.interfaces import Metric, Predictions, Trial, Videos
from distillbench.networks import Model
from distillbench.registry import discovery as installed
from distillbench.registry.discovery import Registry
from distillbench.results import failures, publishing, store
from distillbench.results.failures import Failure
from distillbench.results.folders import Folders, PathLike, folders_of
from distillbench.results.schema import StoredResult
from distillbench.results.store import Result
from distillbench.training.build import Experiment
from distillbench.training.callbacks import SILENT, Observer
from distillbench.training.output_cache import BUDGET

__all__ = [
    "Failure",
    "Run",
    "RunRequest",
    "SweepRequest",
    "TuneRequest",
    "TunedArm",
    "compare",
    "contrasts",
    "leaderboard",
    "load",
    "network_from",
    "predict",
    "publish",
    "request_run",
    "request_sweep",
    "request_tune",
    "run",
    "sweep",
    "tune",
]

Requested: TypeAlias = PathLike | Mapping[str, object] | None
Warn: TypeAlias = Callable[[str], object]

_EXECUTOR, _TUNER = "executor.", "tuner."
_TRIALS = 8


@dataclass(frozen=True)
class Run:
    """A run that has its result.

    stored: its files.
    """

    stored: Result

    @property
    def key(self) -> str:
        """The run's key, which names its files."""
        return self.stored.id

    @property
    def path(self) -> Path:
        """The file of its result."""
        return self.stored.path

    @property
    def result(self) -> Mapping[str, Any]:
        """What that file holds."""
        return self.stored.content

    @property
    def metrics(self) -> Mapping[str, float]:
        """How good it is on the test split."""
        found: Mapping[str, float] = self.result["metrics"]
        return found

    @cached_property
    def predictions(self) -> Predictions:
        """Every test video's best 20 predictions, as they were stored."""
        return self.stored.predictions()

    @cached_property
    def network(self) -> nn.Module:
        """The evaluated network with its trained weights, in evaluation mode.

        It takes clips as they are stored.

        It is built again, for which the run's data set is opened.
        """
        return _network(self._restored, self.stored.record)

    @cached_property
    def _restored(self) -> RestoredRun:
        return restore(self.stored, installed.discover())


def _network(found: RestoredRun, stored: StoredResult) -> Model:
    model = found.experiment.models[found.experiment.spec.reports]
    return quantized(model) if stored.quantized_from else model


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
    check_observers(observe, registry)
    find_device(device)
    place = RunContext(
        Path(results),
        device,
        retrain,
        again,
        observers=tuple(observe),
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
    knobs = _taken_out(given, _EXECUTOR)
    knobs |= {} if workers is None else {"workers": workers}
    specs = all_specs(registry, file, given, (), arms)
    check_observers(observe, registry)
    name = executor or usual_executor(registry)
    on = _device_of(registry, name, device)
    chosen = built_executor(registry, name, knobs, specs, on)
    place = RunContext(
        Path(results),
        on,
        retrain,
        again,
        observers=tuple(observe),
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
    executor_knobs, tuner_knobs = (_taken_out(given, each) for each in (_EXECUTOR, _TUNER))
    executor_knobs |= {} if workers is None else {"workers": workers}
    tuning = read_tuning(None if file is None else Path(file), tried)
    name = executor or usual_executor(registry)
    on = _device_of(registry, name, device)
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


def _device_of(registry: Registry, executor: str, requested: str) -> str:
    """Returns the device of the runs of a sweep; another machine may have what this one lacks."""
    found = registry.find("executor", executor)
    return find_device(requested, here=found is None or not found.cls.remote).type  # type: ignore[attr-defined]


def _taken_out(given: dict[str, object], section: str) -> dict[str, object]:
    """Takes the knobs of a section out of settings, and returns them by their own names."""
    names = [name for name in given if name.startswith(section)]
    return {name.removeprefix(section): given.pop(name) for name in names}


def _usual_tuner(registry: Registry) -> str:
    names = registry.names("tuner")
    if not names:
        raise ConfigError(["no tuner is installed; --tuner names one"])
    return names[0]


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


def load(run: PathLike | Run, results: Folders = "results", *, warn: Warn = warnings.warn) -> Run:
    """Finds a run by its key, the beginning of it, or its file.

    results: folders to look in.
    warn: is called with a message about files that are damaged.

    Raises `ConfigError` where there is no such run or several, `ResultError` where the file is
    damaged.
    """
    if isinstance(run, Run):
        return run
    path = Path(run)
    if path.suffix == ".json":
        if not path.is_file():
            raise ResultError(f"there is no result '{path}'")
        return Run(store.read(path, installed_metrics(installed.discover())))
    found = _some(results, warn)
    return Run(comparison.chosen(found, str(run)).results[0])


def publish(
    out: PathLike,
    results: Folders = "results",
    *,
    labels: bool = True,
    warn: Warn = warnings.warn,
) -> tuple[str, ...]:
    """Writes results to a folder that others can read by its address; returns their keys.

    Absolute paths and the name of this machine are taken out, every row is checked, and weights are
    not published. `leaderboard` reads the folder, or an address that it was put at.

    labels: of the test videos, without which no row has an interval.
    warn: is called with what was left out, and why.

    Raises `ConfigError` where nothing can be published.
    """
    found = _some(results, warn)
    done = publishing.publish(found, Path(out), labels=labels)
    for reason in done.left_out:
        warn(f"left out: {reason}")
    if not done.runs:
        raise ConfigError([f"none of {len(found)} results can be published"])
    return done.runs


Method: TypeAlias = str | Run | Mapping[str, object] | Sequence[str]


def compare(
    a: Method,
    b: Method,
    *,
    where: Sequence[str] = (),
    results: Folders = "results",
    resamples: int = 2000,
    names: tuple[str, str] = ("a", "b"),
    warn: Warn = warnings.warn,
) -> Comparison:
    """Estimates by how much two methods differ, with 95 % intervals and p-values.

    Videos and seeds are paired.

    a, b: a run or its key, or what the method's runs have in common: `{"schedule": NAME}`, or
    conditions `COLUMN=VALUE`.
    where: conditions that both meet.
    names: what a message calls the two.
    """
    found = [] if isinstance(a, Run) and isinstance(b, Run) else _some(results, warn)
    sides = [_side(method, where, found, name) for method, name in ((a, names[0]), (b, names[1]))]
    return comparison.compare(sides[0], sides[1], resamples)


def contrasts(
    file: PathLike,
    results: Folders = "results",
    *,
    resamples: int = 2000,
    warn: Warn = warnings.warn,
) -> list[Answer]:
    """Answers the contrasts of a file, with p-values corrected for how many they are (Holm).

    file: TOML, a table [[contrast]] each: `name`, `a` and `b`, lists of conditions COLUMN=VALUE,
    and perhaps `where` (conditions on both) and `metric`; `where` at the top holds for all.
    """
    family = read_contrasts(Path(file))
    return answers(family, _some(results, warn), resamples)


def _side(method: Method, where: Sequence[str], found: Sequence[Result], name: str) -> Side:
    if isinstance(method, Run):
        return Side(method.key, (method.stored,))
    if isinstance(method, str):
        return comparison.chosen(found, method)
    if isinstance(method, Mapping):
        method = [f"{column}={value}" for column, value in method.items()]
    return comparison.matching(found, [*method, *where], name)


def predict(run: PathLike | Run, videos: Any = "test", *, results: Folders = "results") -> Scores:
    """Scores videos with a run's network, which sees of each what its selector chooses.

    videos: a split of the run's data (`train`, `validation`, `test`); or a sequence of arrays (T,
    D), one a video: frames as its data stores them, features joined in the same order; or paths of
    video files, of .npy files with such frames and of folders of these. Of video files only the
    chosen frames are decoded and encoded, as `distillbench extract` did with the run's data.

    Raises `ConfigError` where videos are none of these, `DataError` where frames are not like those
    of its data or no file can be used.
    """
    found = load(run, results)
    experiment, model = found._restored.experiment, found.network
    assert isinstance(model, Model)
    if files := _files(videos):
        made = Predictor(experiment, model, installed.discover())
        return gathered(made.classify(files), made.class_names)
    model_device = next(iter(model.parameters()), torch.empty(0)).device
    split = _videos(videos, experiment)
    view = experiment.evaluation_views[experiment.spec.reports]
    size, kind = experiment.spec.training.batch_size, experiment.spec.label_kind
    return scores_of(model, split, view, size, model_device, kind)


def predictor(
    run: PathLike | Run, results: Folders = "results", warn: Warn = warnings.warn
) -> Predictor:
    """Restores a run's network to classify files with."""
    found = load(run, results, warn=warn)
    assert isinstance(found.network, Model)
    return Predictor(found._restored.experiment, found.network, installed.discover())


def _files(videos: Any) -> list[Path]:
    """Returns the files that are meant; a text is one if there is such a file, else a split."""
    if isinstance(videos, str):
        return [Path(videos)] if videos and Path(videos).exists() else []
    if isinstance(videos, Path):
        return [videos]
    is_many = isinstance(videos, Sequence) and len(videos) > 0
    if is_many and all(isinstance(each, (str, Path)) for each in videos):
        return [Path(each) for each in videos]
    return []


def _videos(videos: Any, experiment: Experiment) -> Videos:
    names = [field.name for field in dataclasses.fields(experiment.splits)]
    if isinstance(videos, str):
        if videos not in names:
            raise ConfigError([f"no split is called '{videos}'; there are: {', '.join(names)}"])
        split: Videos = getattr(experiment.splits, videos)
        return split
    return InMemoryVideos(videos, experiment.splits.test)


def _loaded(results: Folders, warn: Warn) -> rows_of.Loaded:
    found = rows_of.load(folders_of(results), installed_metrics(installed.discover("metric")))
    for reason in found.skipped:
        warn(f"skipped: {reason}")
    return found


def _some(results: Folders, warn: Warn) -> Sequence[Result]:
    """Reads results; raises `ConfigError` where there is none."""
    folders = folders_of(results)
    found = _loaded(folders, warn)
    if not found.results:
        raise ConfigError([rows_of.why_none(found, folders)])
    return found.results
