"""Searches settings for methods by trials on validation videos, with equal effort for each.

Trials go in rounds: what is asked in a round depends on the rounds before it alone, so that a
search finds the same whatever was faster, and whether or not it was killed on the way.
"""

from __future__ import annotations

import dataclasses
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distillbench.config.grid import one_spec
from distillbench.config.layers import Layer
from distillbench.config.run_spec import Choice, RunSpec, digest
from distillbench.config.tuning import Arm, Tuning, written_space
from distillbench.errors import ConfigError, ResultError
from distillbench.evaluation.metric_set import MetricSet, metrics_of
from distillbench.experiments.context import RunContext
from distillbench.experiments.plan import Job, Plan, plan
from distillbench.experiments.sweep import Watcher
from distillbench.experiments.tuner import CheckedTuner
from distillbench.interfaces import OneOf, RunStatus, Space, Study, Trial
from distillbench.registry.discovery import Registry
from distillbench.results import store
from distillbench.storage import held

SEED = 100
"""Of trials where the user gives none: another one than those of the comparison to come."""
_FEWEST_CURVES = 4  # a median of fewer says little
_GRACE = 3  # epochs that every trial has
_WORDS = re.compile(r"[^a-z0-9]+")

Make = Callable[[Plan, RunContext, Watcher], None]
"""Makes the runs of a plan."""


@dataclass(frozen=True)
class Searched:
    """An arm and its trials.

    taken: what earlier arms chose for all, with how many trials among what.
    """

    arm: Arm
    tuner: CheckedTuner
    taken: Taken

    @property
    def best(self) -> Trial | None:
        """The best of the finished trials; None where there is none."""
        finished = [trial for trial in self.tuner.trials() if trial.state == "finished"]
        return max(finished, key=lambda trial: trial.quality or 0.0, default=None)

    @property
    def chosen(self) -> Mapping[str, object] | None:
        """What was chosen, with what others chose for all; None where no trial has a result."""
        if not self.arm.space:
            return self.taken.values
        return None if self.best is None else {**self.taken.values, **self.best.values}

    @property
    def effort(self) -> Taken:
        """What was chosen, and with how many trials among what."""
        return Taken(
            self.chosen or {},
            self.taken.trials + len(self.tuner.trials()),
            {**self.taken.space, **self.arm.space},
        )


@dataclass(frozen=True)
class Taken:
    """Settings that trials chose.

    trials: how many.
    space: among what.
    """

    values: Mapping[str, object] = field(default_factory=dict)
    trials: int = 0
    space: Space = field(default_factory=dict)


class Tune:
    """A search that can be made: nothing was written yet.

    trials: of each arm.
    at_once: trials of an arm that are asked in one round.
    stops: whether a trial is stopped that is behind the median of earlier trials of its arm.
    """

    def __init__(
        self,
        tuning: Tuning,
        given: Layer,
        registry: Registry,
        context: RunContext,
        tuner: Choice,
        *,
        trials: int,
        at_once: int,
        stops: bool,
    ) -> None:
        self._registry, self._context, self._tuner = registry, context, tuner
        self.trials, self.at_once, self.stops = trials, at_once, stops
        self._shared = [Layer("tune", {"training.threads": 1, "seed": SEED}), tuning.shared]
        self._given, self._arms = given, tuning.arms
        self.searched: list[Searched] = []
        self.metrics: dict[str, MetricSet] = {}
        taken: dict[str, object] = {}
        corners: dict[str, dict[str, object]] = {}
        problems: list[str] = []
        for arm in tuning.arms:
            try:
                like = {**taken, **corners.get(arm.like, {})}
                spec = self._spec(arm, like, _corner(arm.space))
                self.metrics[arm.name] = metrics_of(spec.data.component, registry)
            except ConfigError as error:
                problems += [f"{arm.name}: {problem}" for problem in error.problems]
            corners[arm.name] = _corner(arm.space)
            taken |= corners[arm.name] if arm.for_all else {}
        if problems:
            raise ConfigError(dict.fromkeys(problems))

    def _taken(self, arm: Arm, for_all: Taken) -> Taken:
        """Returns what an arm takes over: what is for all, and what that arm chose it is like."""
        for searched in self.searched:
            if searched.arm.name == arm.like and searched.chosen is not None:
                return searched.effort
        return for_all

    def _search(self, arm: Arm, taken: Taken, files: _Files) -> Searched:
        """Opens the search of an arm; one of other settings is another search, and another file."""
        spec = self._spec(arm, taken.values, _corner(arm.space))
        asked = [spec.describe(), written_space(arm.space), self._tuner.describe(), self.stops]
        word = _WORDS.sub("-", arm.name.lower()).strip("-")[:40] or "arm"
        name = f"{word}-{digest([asked, self.at_once])}.journal"
        file = self._context.results / "tuning" / name
        if arm.space:
            files.hold(file, arm.name)
        study = Study(str(file), arm.space, spec.seed)
        return Searched(arm, CheckedTuner(self._tuner, study), taken)

    def _spec(self, arm: Arm, taken: Mapping[str, object], values: Mapping[str, object]) -> RunSpec:
        others, own = Layer("tune", dict(taken)), Layer("trial", dict(values))
        layers = [*self._shared, others, arm.settings, self._given, own]
        return one_spec(self._registry, layers)

    def settings_of(self, searched: Searched) -> dict[str, object] | None:
        """Returns the settings of an arm that users gave, with what was chosen for it.

        None where no trial has a result.
        """
        if searched.chosen is None:
            return None
        own = searched.best.values if searched.best else {}
        taken = Layer("tune", dict(searched.taken.values))
        layers = (*self._shared[1:], taken, searched.arm.settings, self._given)
        given = {name: value for layer in layers for name, value in layer.settings.items()}
        return given | dict(own)

    def run(self, make: Make, watcher: Watcher) -> None:
        """Makes rounds of trials until every arm has all of its own.

        An arm whose choice is for all is searched before those that come after it.

        Raises `ResultError` where another process makes the trials of an arm.
        """
        store.prepare(self._context.results)
        (self._context.results / "tuning").mkdir(exist_ok=True)
        with ExitStack() as holding:
            self._run(make, watcher, _Files(holding))

    def _run(self, make: Make, watcher: Watcher, files: _Files) -> None:
        self.searched, taken = [], Taken()
        for arms in _groups(self._arms):
            group = [self._search(arm, self._taken(arm, taken), files) for arm in arms]
            self.searched += group
            while due := [(each, trial) for each in group for trial in self._due(each)]:
                self._make(due, make, watcher)
            if arms[0].for_all:
                if group[0].chosen is None:
                    raise ConfigError(
                        [
                            f"no trial of {arms[0].name} has a result, and all take over what it"
                            " chooses"
                        ]
                    )
                taken = group[0].effort

    def _due(self, searched: Searched) -> list[Trial]:
        """Returns the trials of the next round: those that were asked and not told come first."""
        if not searched.arm.space:
            return []
        trials = searched.tuner.trials()
        waiting = [trial for trial in trials if trial.state == "asked"]
        left = self.trials - len(trials)
        asked = [searched.tuner.ask() for _ in range(min(left, self.at_once - len(waiting)))]
        return waiting + asked

    def _make(self, due: list[tuple[Searched, Trial]], make: Make, watcher: Watcher) -> None:
        specs: dict[tuple[str, int], RunSpec] = {}
        bounds: dict[str, Sequence[float]] = {}
        for searched, trial in due:
            try:
                spec = self._spec(searched.arm, searched.taken.values, trial.values)
            except ConfigError:  # no such network, or components that do not go together
                searched.tuner.tell(trial.number, "failed", None)
                continue
            specs[searched.arm.name, trial.number] = spec
            # Two arms may try the same: what stops one would stop the other.
            is_shared = spec.key in bounds
            bounds[spec.key] = self._bounds(searched) if self.stops and not is_shared else ()
        context = dataclasses.replace(self._context, bounds=bounds)
        planned = plan(list({spec.key: spec for spec in specs.values()}.values()), context)
        stopped = _Stopped(watcher)
        if planned.jobs:
            make(planned, context, stopped)
        for searched, trial in due:
            made = specs.get((searched.arm.name, trial.number))
            if made is None:
                continue
            if curve := self._stored_curve(searched, made):
                searched.tuner.tell(trial.number, "finished", curve[-1])
            elif (reached := stopped.reached.get(made.key)) is not None:
                searched.tuner.tell(trial.number, "stopped", reached)
            else:
                searched.tuner.tell(trial.number, "failed", None)

    def _bounds(self, searched: Searched) -> list[float]:
        """Returns the median of the arm's finished trials at each epoch, after a grace."""
        finished = [trial for trial in searched.tuner.trials() if trial.state == "finished"]
        specs = [self._spec(searched.arm, searched.taken.values, t.values) for t in finished]
        curves = [curve for spec in specs if (curve := self._stored_curve(searched, spec))]
        if len(curves) < _FEWEST_CURVES:
            return []
        longest = max(map(len, curves))
        whole = [curve + curve[-1:] * (longest - len(curve)) for curve in curves]
        medians = [statistics.median(values) for values in zip(*whole, strict=True)]
        return [-float("inf")] * min(_GRACE, longest) + medians[_GRACE:]

    def _stored_curve(self, searched: Searched, spec: RunSpec) -> list[float]:
        try:
            result = store.read(self._context.results / f"{spec.key}.json")
        except ResultError:
            return []
        return curve_of(result.content["history"], spec, self.metrics[searched.arm.name])


def curve_of(
    history: Sequence[Mapping[str, Any]], spec: RunSpec, metrics: MetricSet
) -> list[float]:
    """Returns the best quality on validation videos up to each epoch of the last phase.

    Of the network that is reported; the higher the better.
    """
    last = spec.phases[-1].name
    found: list[float] = []
    for row in history:
        if row["phase"] == last and spec.reports in row["networks"]:
            worth = metrics.worth(row["networks"][spec.reports]["validation"])
            found.append(max(worth, found[-1] if found else worth))
    return found


class _Files:
    """Keeps other processes out of files of trials, until its stack is closed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._held: set[Path] = set()

    def hold(self, file: Path, arm: str) -> None:
        """Holds the file of an arm; two arms that try the same among the same share one."""
        if file in self._held:
            return
        guard = file.with_name(f".{file.name}.lock")
        busy = ResultError(f"{file}: another process makes the trials of arm '{arm}'")
        try:
            self._stack.enter_context(held(guard, busy))
        except OSError as error:
            raise ResultError(f"'{guard}' cannot be written: {error.strerror}") from error
        self._held.add(file)


class _Stopped(Watcher):
    """Passes everything on, and keeps how good runs were when they were stopped."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self.reached: dict[str, float | None] = {}

    def started(self, job: Job) -> None:
        self._watcher.started(job)

    def trained(self, job: Job, row: Mapping[str, Any]) -> None:
        self._watcher.trained(job, row)

    def finished(self, job: Job, result: store.Result) -> None:
        self._watcher.finished(job, result)

    def failed(self, job: Job, status: RunStatus, reason: str, again: bool) -> None:
        self._watcher.failed(job, status, reason, again)

    def stopped(self, job: Job, reason: str, reached: float | None) -> None:
        self.reached[job.spec.key] = reached
        self._watcher.stopped(job, reason, reached)

    def elsewhere(self) -> None:
        self._watcher.elsewhere()

    def waited(self) -> None:
        self._watcher.waited()


def _groups(arms: Sequence[Arm]) -> list[list[Arm]]:
    """Puts arms that may be searched together into groups, in order.

    One whose choice is for all is alone, and one that is like another comes after it.
    """
    groups: list[list[Arm]] = []
    for arm in arms:
        alone = arm.for_all or not groups or groups[-1][0].for_all
        if alone or arm.like in (other.name for other in groups[-1]):
            groups.append([])
        groups[-1].append(arm)
    return groups


def _corner(space: Space) -> dict[str, object]:
    """Returns one point of a space, with which settings are checked before anything is tried."""
    return {
        name: part.values[0] if isinstance(part, OneOf) else _number(part.low, part.whole)
        for name, part in space.items()
    }


def _number(value: float, whole: bool) -> float | int:
    return int(value) if whole else value
