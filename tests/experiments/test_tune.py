"""Searching settings by trials: rounds, what is told, what is stopped, and going on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY
from running import installed
from violations import executors

from distillbench import api
from distillbench.config.layers import Layer, flags
from distillbench.config.run_spec import Choice
from distillbench.config.tuning import Arm, Tuning
from distillbench.errors import ConfigError, PluginError, ResultError, StoppedError
from distillbench.experiments import tune
from distillbench.experiments.context import RunContext
from distillbench.experiments.executor import CheckedExecutor
from distillbench.experiments.plan import Plan
from distillbench.experiments.run import run_experiment
from distillbench.experiments.sweep import Sweep, Watcher
from distillbench.experiments.tune import Tune
from distillbench.experiments.tuner import fits, tuner_of
from distillbench.interfaces import Between, Demand, OneOf, Space, Study, Trial, Tuner
from distillbench.registry.discovery import Component

RATE: Space = {"training.learning_rate": Between(1e-4, 1e-1, log=True)}


class Listed(Tuner):
    """Proposes the given rates in order, and keeps everything in memory by file."""

    kept: dict[str, list[Trial]] = {}  # noqa: RUF012
    rates: Sequence[float] = ()

    def __init__(self, study: Study) -> None:
        self.study = study
        self._trials = self.kept.setdefault(study.file, [])

    def ask(self) -> Trial:
        number = len(self._trials)
        self._trials.append(Trial(number, {"training.learning_rate": self.rates[number]}))
        return self._trials[-1]

    def tell(self, number: int, state: Any, quality: float | None) -> None:
        self._trials[number] = Trial(number, self._trials[number].values, state, quality)

    def trials(self) -> Sequence[Trial]:
        return list(self._trials)


def listed(*rates: float) -> Choice:
    cls = type("Listed", (Listed,), {"rates": rates, "kept": {}})
    return Choice(Component("tuner", "listed", cls, "somebody", "1"), {})


def search(folder: Path, tuner: Choice, arms: Sequence[Arm] = (), **how: Any) -> Tune:
    settings = flags({"k": 4, "schedule": "scratch", "loss": "ce"}, TINY)
    arms = arms or (Arm("one", Layer("", {}), RATE),)
    context = RunContext(folder, "cpu")
    shared = Tuning(settings, tuple(arms))
    how = {"trials": 4, "at_once": 2, "stops": True, **how}
    return Tune(shared, Layer("", {}), installed(), context, tuner, **how)


def here(planned: Plan, context: RunContext, watcher: Watcher) -> None:
    """Makes runs in this process."""
    component = Component("executor", "here", executors.CORRECT, "somebody", "1")
    made = executors.CORRECT(Demand(len(planned.jobs), 1, "cpu"))  # type: ignore[call-arg]
    Sweep(planned, context, CheckedExecutor(component, made), watcher).run()


def test_every_arm_has_as_many_trials_and_the_best_on_validation_is_chosen(tmp_path: Path) -> None:
    arms = [
        Arm("alone", Layer("", {}), RATE),
        Arm("smoothed", Layer("", {"loss.ce.label_smoothing": 0.1}), RATE),
    ]
    made = search(tmp_path, listed(1e-3, 1e-2, 3e-2), arms, trials=3)
    made.run(here, Watcher())
    assert [searched.arm.name for searched in made.searched] == ["alone", "smoothed"]
    for searched in made.searched:
        trials = searched.tuner.trials()
        assert [trial.state for trial in trials] == ["finished"] * 3
        best = searched.best
        assert best is not None
        assert best.quality == max(trial.quality or 0 for trial in trials)
    stored = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert len(stored) == 6
    assert {content["setup"]["seed"] for content in stored} == {tune.SEED}
    qualities = {
        max(row["networks"]["student"]["validation"]["gap"] for row in content["history"])
        for content in stored
    }
    assert qualities == {t.quality for s in made.searched for t in s.tuner.trials()}


def test_what_an_arm_chose_for_all_is_taken_over_by_those_after_it(tmp_path: Path) -> None:
    rates = {"training.learning_rate": OneOf((1e-3, 3e-2))}
    dropout: Space = {"head.dropout": OneOf((0.1, 0.5))}
    arms = [
        Arm("first", Layer("", {}), dropout),
        Arm("alone", Layer("", {}), rates, for_all=True),
        Arm("smoothed", Layer("", {"loss.ce.label_smoothing": 0.1}), dropout),
        Arm("slow", Layer("", {"training.learning_rate": 1e-4}), {}),
        Arm("control", Layer("", {"selector": "random"}), {}, like="smoothed"),
    ]
    cls = type("First", (Listed,), {"kept": {}, "ask": first_values})
    made = search(tmp_path, Choice(Component("tuner", "x", cls, "y", "1"), {}), arms, trials=2)
    made.run(here, Watcher())
    first, alone, smoothed, slow, control = made.searched
    assert alone.best is not None
    rate = alone.best.values["training.learning_rate"]
    assert "training.learning_rate" not in (made.settings_of(first) or {})
    settings = made.settings_of(smoothed)
    assert settings is not None
    assert settings["training.learning_rate"] == rate
    assert settings["head.dropout"] in (0.1, 0.5)
    assert (made.settings_of(slow) or {})["training.learning_rate"] == 1e-4
    assert smoothed.best is not None
    dropped = smoothed.best.values["head.dropout"]
    assert (made.settings_of(control) or {})["head.dropout"] == dropped
    assert "loss.ce.label_smoothing" not in (made.settings_of(control) or {})
    assert [each.effort.trials for each in made.searched] == [2, 2, 4, 2, 4]
    assert set(smoothed.effort.space) == {"training.learning_rate", "head.dropout"}


def first_values(self: Listed) -> Trial:
    number = len(self._trials)
    self._trials.append(
        Trial(number, {name: part.values[number] for name, part in self.study.space.items()})
    )
    return self._trials[-1]


def test_what_was_made_is_not_made_again_and_what_was_asked_is_told_first(tmp_path: Path) -> None:
    tuner = listed(1e-3, 1e-2, 3e-2, 2e-3)

    def killed(planned: Plan, context: RunContext, watcher: Watcher) -> None:
        run_experiment(planned.jobs[0].spec, context, installed())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, tuner).run(killed, Watcher())
    first = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert len(first) == 1
    made = search(tmp_path, tuner)
    made.run(here, Watcher())
    assert all(path.stat().st_mtime_ns == time for path, time in first.items())
    whole = search(tmp_path / "whole", tuner)
    whole.run(here, Watcher())
    assert made.searched[0].tuner.trials() == whole.searched[0].tuner.trials()


def test_a_trial_that_falls_behind_is_stopped_and_counts(tmp_path: Path) -> None:
    good = (0.03, 0.025, 0.02, 0.028)
    arms = [Arm("one", Layer("", {"training.epochs": 6}), RATE)]
    made = search(tmp_path, listed(*good, 1e-4, 0.029), arms, trials=6, at_once=1)
    made.run(here, Watcher())
    states = [trial.state for trial in made.searched[0].tuner.trials()]
    assert states[:5] == [*["finished"] * 4, "stopped"]
    behind = made.searched[0].tuner.trials()[4]
    assert behind.quality is not None
    best = made.searched[0].best
    assert best is not None
    assert behind.quality < (best.quality or 0)
    assert not list((tmp_path / "checkpoints").glob("*"))
    assert not (tmp_path / "failures").exists()
    whole = search(tmp_path / "b", listed(*good, 1e-4), arms, trials=5, at_once=1, stops=False)
    whole.run(here, Watcher())
    assert [trial.state for trial in whole.searched[0].tuner.trials()] == ["finished"] * 5


def test_a_run_is_stopped_after_the_epoch_at_which_it_is_below_its_bound(
    tmp_path: Path, make_spec: Callable[..., Any]
) -> None:
    spec = make_spec("training.epochs=3", schedule="scratch", loss="ce")
    never = -float("inf")
    bounded = RunContext(tmp_path, "cpu", bounds={spec.key: [never, 2.0]})
    with pytest.raises(StoppedError, match=r"stopped after epoch 2: .* where 2\.0000 was") as told:
        run_experiment(spec, bounded, installed())
    assert 0 < told.value.reached < 1
    reachable = RunContext(tmp_path, "cpu", bounds={spec.key: [0.0, 0.0, 0.0, 2.0]})
    assert run_experiment(spec, reachable, installed()).content["metrics"]["gap"] > 0


def test_a_trial_without_a_result_is_told_as_failed_and_the_search_goes_on(tmp_path: Path) -> None:
    space: Space = {"teacher.cell_size": OneOf((8, 9)), **RATE}
    arms = [Arm("one", Layer("", {"loss": "rep,ce", "schedule": "serial"}), space)]
    cls = type("Mixed", (Listed,), {"kept": {}, "ask": mixed})
    made = search(tmp_path, Choice(Component("tuner", "x", cls, "y", "1"), {}), arms, trials=2)
    made.run(here, Watcher())
    assert [t.state for t in made.searched[0].tuner.trials()] == ["finished", "failed"]


def mixed(self: Listed) -> Trial:
    """Another width for the teacher than for the student does not go with `rep`."""
    number = len(self._trials)
    values = {"teacher.cell_size": (8, 9)[number], "training.learning_rate": 0.01}
    self._trials.append(Trial(number, values))
    return self._trials[-1]


def test_two_commands_do_not_make_the_trials_of_one_search(tmp_path: Path) -> None:
    tuner = listed(1e-2)

    def meanwhile(planned: Plan, context: RunContext, watcher: Watcher) -> None:
        with pytest.raises(ResultError, match="another process makes the trials of arm 'one'"):
            search(tmp_path, tuner, trials=1).run(here, Watcher())
        other = Arm("other", Layer("", {"loss.ce.label_smoothing": 0.1}), RATE)
        search(tmp_path, tuner, [other], trials=1).run(here, Watcher())
        here(planned, context, watcher)

    first = search(tmp_path, tuner, trials=1)
    first.run(meanwhile, Watcher())
    assert first.searched[0].best is not None
    assert len(list(tmp_path.glob("*.json"))) == 2
    search(tmp_path, tuner, trials=1).run(here, Watcher())


def test_arms_that_try_the_same_under_like_names_share_their_trials(tmp_path: Path) -> None:
    arms = [Arm(name, Layer("", {}), RATE) for name in ("rep, pred", "Rep pred")]
    made = search(tmp_path, listed(1e-2), arms, trials=1)
    made.run(here, Watcher())
    assert [len(each.tuner.trials()) for each in made.searched] == [1, 1]


def test_a_tuner_that_leaves_the_space_is_named(tmp_path: Path) -> None:
    made = search(tmp_path, listed(5.0, 6.0))
    with pytest.raises(PluginError, match=r"tuner 'listed'.* proposed .* is not in the space"):
        made.run(here, Watcher())


@pytest.mark.parametrize(
    ("values", "fit"),
    [
        ({"a": 2, "b": "x"}, True),
        ({"a": 2.0, "b": "x"}, False),
        ({"a": 9, "b": "x"}, False),
        ({"a": 2, "b": "z"}, False),
        ({"a": 2}, False),
        ([2, "x"], False),
    ],
)
def test_a_proposal_has_a_value_of_every_setting_and_no_other(values: Any, fit: bool) -> None:
    assert fits({"a": Between(1, 4, whole=True), "b": OneOf(("x", "y"))}, values) is fit


def test_wrong_settings_are_told_before_anything_is_asked(tmp_path: Path) -> None:
    tuner = listed(0.01)
    with pytest.raises(ConfigError, match=r"one: .*cell_syze"):
        search(tmp_path, tuner, [Arm("one", Layer("", {"student.cell_syze": 8}), RATE)])
    assert not tmp_path.joinpath("tuning").exists()


def test_another_space_is_another_search_of_the_same_folder(tmp_path: Path) -> None:
    files = set()
    for low in (1e-4, 1e-3):
        space = {"training.learning_rate": Between(low, 1e-1, log=True)}
        tuner = listed(0.01)
        made = search(tmp_path, tuner, [Arm("../o ne", Layer("", {}), space)], trials=1)
        made.run(here, Watcher())
        files |= set(tuner.component.cls.kept)  # type: ignore[attr-defined]
    assert len(files) == 2
    assert {Path(file).parent for file in files} == {tmp_path / "tuning"}


def test_a_tuner_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="no tuner is called 'grid'"):
        tuner_of(installed(), "grid", {})


def test_the_number_of_workers_reaches_the_executor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna")
    given: list[Any] = []

    def built(registry: Any, name: str, knobs: Any, *rest: Any) -> None:
        given.append(knobs)
        raise KeyboardInterrupt

    monkeypatch.setattr("distillbench.api.tuning.built_executor", built)
    settings = dict(each.split("=", 1) for each in TINY)
    request = api.request_tune(
        settings={**settings, "k": 4, "schedule": "scratch", "loss": "ce"},
        tried=["training.learning_rate=0.001,0.01"],
        results=tmp_path,
        workers=3,
    )
    with pytest.raises(KeyboardInterrupt):
        request.make()
    assert given == [{"workers": 3}]


SEARCH = [
    *("tune", "--schedule", "scratch", "--loss", "ce", "--k", "4", "--trials", "3"),
    *("--try", "training.learning_rate=0.001..0.1 log", "--try", "head.dropout=0.1,0.5"),
    *("--workers", "1"),
    *(word for assignment in TINY for word in ("--set", assignment)),
]


@pytest.mark.slow
def test_a_search_that_is_killed_finds_what_an_uninterrupted_one_finds(tmp_path: Path) -> None:
    pytest.importorskip("optuna")

    def begin(folder: str, program: Sequence[str]) -> int:
        place = ["--results", folder, "--out", f"{folder}.toml"]
        command = [sys.executable, *program, *SEARCH, *place]
        return subprocess.run(command, cwd=tmp_path, check=False, timeout=300).returncode

    assert begin("whole", ["-m", "distillbench"]) == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "distillbench", *SEARCH, "--results", "torn", "--out", "torn.toml"],
        cwd=tmp_path,
    )
    while not list((tmp_path / "torn").glob("*.json")):
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert begin("torn", ["-m", "distillbench"]) == 0
    for suffix in (".toml", ".csv"):
        texts = [(tmp_path / f"{name}{suffix}").read_text() for name in ("whole", "torn")]
        assert texts[0] == texts[1]
    trials = (tmp_path / "torn.csv").read_text().splitlines()
    assert len(trials) == 4
    row = json.loads(next((tmp_path / "torn").glob("*.json")).read_text())
    assert row["tuned"] == {"arm": "", "trials": 0, "space": ""}
    tried = subprocess.run(
        [sys.executable, "-m", "distillbench", "sweep", "torn.toml", "--seed", "0:1"],
        cwd=tmp_path,
        check=False,
        timeout=300,
    )
    assert tried.returncode == 0
    (row,) = [json.loads(path.read_text()) for path in (tmp_path / "results").glob("*.json")]
    assert row["tuned"]["arm"] == "all"
    assert row["tuned"]["trials"] == 3
    assert row["tuned"]["space"].startswith("head.dropout [0.1 0.5], training.learning_rate 0.001")
