"""Plugins hear how a run goes and add columns, and one that raises costs nobody a run."""

from __future__ import annotations

import json
import types

import pytest

from distillbench import hookimpl
from distillbench.registry import Registry, discover


def module_of(name, **functions):
    module = types.ModuleType(name)
    for hook, function in functions.items():
        function.__name__ = hook
        setattr(module, hook, hookimpl(function))
    return module


@pytest.fixture
def installed(monkeypatch):
    """Installs modules as plugins, beside the real ones."""

    def install(**modules):
        def found() -> Registry:
            registry = discover()
            for name, module in modules.items():
                registry.hooks.register(module, name=f"somebody:{name.replace('_', '-')}")
            return registry

        monkeypatch.setattr("distillbench.registry.discover", found)

    return install


def test_an_observer_hears_the_start_every_epoch_and_the_result(command, tiny, tmp_path, installed):
    heard = []
    installed(
        listener=module_of(
            "listener",
            run_started=lambda run: heard.append(("started", run.key, run.spec["schedule"]["name"], run.results)),
            epoch_ended=lambda run, event: heard.append(("epoch", run.key, event.key, event.row["epoch"])),
            run_ended=lambda event: heard.append(("ended", event.key, event.result["id"])),
        )
    )
    code, _, err = command("run", *tiny, "--schedule", "scratch", "--observe", "listener", "--results", tmp_path)
    assert code == 0, err
    (path,) = tmp_path.glob("*.json")
    key = path.stem
    assert heard == [
        ("started", key, "scratch", tmp_path),
        *(("epoch", key, key, epoch) for epoch in (1, 2)),
        ("ended", key, key),
    ]


def test_an_observer_that_raises_is_reported_once_and_the_run_goes_on(command, tiny, tmp_path, installed):
    def fails(event):
        raise RuntimeError("no network")

    installed(fragile=module_of("fragile", epoch_ended=fails))
    code, _, err = command("run", *tiny, "--schedule", "scratch", "--observe", "fragile", "--results", tmp_path)
    assert code == 0
    assert err.count("the observer 'fragile' failed and hears no more: RuntimeError: no network") == 1
    assert list(tmp_path.glob("*.json"))


def test_an_unknown_observer_is_refused_with_the_nearest_name(command, tiny, tmp_path):
    code, _, err = command("run", *tiny, "--observe", "csvlog", "--results", tmp_path)
    assert code == 2
    assert "no observer is called 'csvlog', did you mean 'csv-log'?" in err


def test_a_plugins_columns_are_on_the_leaderboard_and_a_broken_one_is_empty(command, tiny, tmp_path, installed):
    def columns():
        return {
            "right_at_once": lambda predictions: float(predictions.hits[:, 0].mean()),
            "broken": lambda predictions: 1 / 0,
        }

    installed(extra=module_of("extra", metric_columns=columns))
    code, _, err = command("run", *tiny, "--schedule", "scratch", "--results", tmp_path)
    assert code == 0
    assert "the metric column 'broken' failed: ZeroDivisionError" in err
    (row,) = json.loads(command("leaderboard", tmp_path, "--format", "json")[1])
    assert row["right_at_once"] == pytest.approx(row["hit_at_1"])
    assert row["broken"] is None
    assert "right_at_once" in command("leaderboard", tmp_path, "--format", "csv")[1].splitlines()[0]


def test_hostile_columns_and_observers_cost_nobody_a_run(command, tiny, tmp_path, installed):
    class Odd(BaseException):
        def __str__(self):
            raise self

    def fails(*given, **named):
        raise Odd

    def columns():
        return {7: len, "": len, "two\nlines": len, "ends": fails, "gap": lambda predictions: print("NOISE") or 1.0}

    def started(run):
        raise SystemExit(0)

    installed(
        hostile=module_of("hostile", metric_columns=columns, run_started=started),
        no_mapping=module_of("no_mapping", metric_columns=lambda: [1]),
        raising=module_of("raising", metric_columns=lambda: fails()),
    )
    code, out, err = command("run", *tiny, "--schedule", "scratch", "--observe", "hostile", "--results", tmp_path)
    assert code == 0, err
    assert "the observer 'hostile' failed and hears no more: SystemExit: 0" in err
    assert err.count("was left out: a name is text in one line") == 3
    assert "the metric column 'ends' failed: Odd" in err
    assert "the metric columns of somebody:no-mapping failed: TypeError: [1] is no mapping" in err
    assert "the metric columns of somebody:raising failed: Odd" in err
    assert "NOISE" not in out
    assert "NOISE" in err
    assert len(list(tmp_path.glob("*.json"))) == 1


@pytest.mark.slow
def test_the_runs_of_a_sweep_are_observed_too(command, tiny, tmp_path):
    flags = ["--schedule", "scratch", "--seed", "0:2", "--workers", "1", "--observe", "csv-log"]
    code, _, err = command("sweep", *tiny, *flags, "--results", tmp_path)
    assert code == 0, err
    assert len(list((tmp_path / "logs").glob("*.csv"))) == 2
