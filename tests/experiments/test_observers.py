"""Plugins hear how a run goes and measure it, and one that raises costs nobody a run."""

from __future__ import annotations

import json
import types

import pytest

from distillbench import hookimpl
from distillbench.interfaces import Metric
from distillbench.registry.discovery import Component, Registry, discover


def module_of(name, **functions):
    module = types.ModuleType(name)
    for hook, function in functions.items():
        function.__name__ = hook
        setattr(module, hook, hookimpl(function))
    return module


@pytest.fixture
def installed(monkeypatch):
    """Installs modules as plugins and classes as metrics, beside the real ones."""

    def install(metrics=(), **modules):
        def found(kind: str = "") -> Registry:
            registry = discover(kind)
            if metrics:
                offered = [
                    Component("metric", name, cls, "somebody", "1") for name, cls in metrics.items()
                ]
                registry = Registry([*registry, *offered], registry.failures, registry.hooks)
            for name, module in modules.items():
                registry.hooks.register(module, name=f"somebody:{name.replace('_', '-')}")
            return registry

        monkeypatch.setattr("distillbench.registry.discovery.discover", found)

    return install


def test_an_observer_hears_the_start_every_epoch_and_the_result(command, tiny, tmp_path, installed):
    heard = []
    installed(
        listener=module_of(
            "listener",
            run_started=lambda run: heard.append(
                ("started", run.key, run.spec["schedule"]["name"], run.results)
            ),
            epoch_ended=lambda run, event: heard.append(
                ("epoch", run.key, event.key, event.row["epoch"])
            ),
            run_ended=lambda event: heard.append(("ended", event.key, event.result["id"])),
        )
    )
    code, _, err = command(
        "run", *tiny, "--schedule", "scratch", "--observe", "listener", "--results", tmp_path
    )
    assert code == 0, err
    (path,) = tmp_path.glob("*.json")
    key = path.stem
    assert heard == [
        ("started", key, "scratch", tmp_path),
        *(("epoch", key, key, epoch) for epoch in (1, 2)),
        ("ended", key, key),
    ]


def test_an_observer_that_raises_is_reported_once_and_the_run_goes_on(
    command, tiny, tmp_path, installed
):
    def fails(event):
        raise RuntimeError("no network")

    installed(fragile=module_of("fragile", epoch_ended=fails))
    code, _, err = command(
        "run", *tiny, "--schedule", "scratch", "--observe", "fragile", "--results", tmp_path
    )
    assert code == 0
    assert (
        err.count("the observer 'fragile' failed and gets no more events: RuntimeError: no network")
        == 1
    )
    assert list(tmp_path.glob("*.json"))


def test_an_unknown_observer_is_refused_with_the_nearest_name(command, tiny, tmp_path):
    code, _, err = command("run", *tiny, "--observe", "csvlog", "--results", tmp_path)
    assert code == 2
    assert "no observer is called 'csvlog', did you mean 'csv-log'?" in err


def metric(compute, **attributes):
    """Makes a metric of a function of the predictions."""
    parts = {
        "title": "made up",
        "compute": lambda self, predictions: compute(predictions),
        **attributes,
    }
    return type(Metric)("MadeUp", (Metric,), {"__doc__": "Is made up.", **parts})


def test_a_plugins_metric_is_on_the_leaderboard_and_a_broken_one_is_empty(
    command, tiny, tmp_path, installed
):
    right = metric(lambda predictions: predictions.hits[:, 0].mean())
    installed({"right_at_once": right, "broken": metric(lambda predictions: 1 / 0)})
    code, _, err = command("run", *tiny, "--schedule", "scratch", "--results", tmp_path)
    assert code == 0
    assert err.count("the metric 'broken' of somebody 1 failed: ZeroDivisionError") == 1
    (row,) = json.loads(command("leaderboard", tmp_path, "--format", "json")[1])
    assert row["right_at_once"] == pytest.approx(row["hit_at_1"])
    assert row["broken"] is None
    assert "right_at_once" in command("leaderboard", tmp_path, "--format", "csv")[1].splitlines()[0]
    (stored,) = tmp_path.glob("*.json")
    for epoch in json.loads(stored.read_text())["history"]:
        assert epoch["networks"]["student"]["validation"]["broken"] is None
    assert command("show", stored.stem, "--results", tmp_path)[0] == 0


def test_a_metric_of_other_labels_is_not_computed(command, tiny, tmp_path, installed):
    installed({"other": metric(lambda predictions: 1.0, label_kinds=frozenset({"single-label"}))})
    assert command("run", *tiny, "--schedule", "scratch", "--results", tmp_path)[0] == 0
    (row,) = json.loads(command("leaderboard", tmp_path, "--format", "json")[1])
    assert "other" not in row


def test_hostile_metrics_and_observers_cost_nobody_a_run(command, tiny, tmp_path, installed):
    class Odd(BaseException):
        def __str__(self):
            raise self

    def fails(*given, **named):
        raise Odd

    def ends(self):
        raise SystemExit(0)

    def wrecks(predictions):
        predictions.scores[:] = 0.0
        return 1.0

    def started(run):
        raise SystemExit(0)

    installed(
        {
            "odd": metric(fails),
            "ends": metric(len, __init__=ends),
            "text": metric(lambda predictions: "much"),
            "infinite": metric(lambda predictions: float("inf")),
            "loud": metric(lambda predictions: print("NOISE") or 1.0),
            "wrecks": metric(wrecks),
        },
        hostile=module_of("hostile", run_started=started),
    )
    code, out, err = command(
        "run", *tiny, "--schedule", "scratch", "--observe", "hostile", "--results", tmp_path
    )
    assert code == 0, err
    assert "the observer 'hostile' failed and gets no more events: SystemExit: 0" in err
    assert "the metric 'odd' of somebody 1 failed: Odd" in err
    assert "the metric 'ends' of somebody 1 failed: SystemExit: 0" in err
    assert "the metric 'text' of somebody 1 failed: ValueError" in err
    assert (
        "the metric 'wrecks' of somebody 1 failed: ValueError: assignment destination is read-only"
        in err
    )
    assert "NOISE" not in out
    assert "NOISE" in err
    (row,) = json.loads(command("leaderboard", tmp_path, "--format", "json")[1])
    assert (row["odd"], row["ends"], row["text"], row["infinite"], row["loud"]) == (
        None,
        None,
        None,
        None,
        1.0,
    )


@pytest.mark.slow
def test_the_runs_of_a_sweep_are_observed_too(command, tiny, tmp_path):
    flags = ["--schedule", "scratch", "--seed", "0:2", "--workers", "1", "--observe", "csv-log"]
    code, _, err = command("sweep", *tiny, *flags, "--results", tmp_path)
    assert code == 0, err
    assert len(list((tmp_path / "logs").glob("*.csv"))) == 2
