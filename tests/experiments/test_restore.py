from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from running import metrics_for, run_experiment

from distillbench.config.run_spec import RunSpec
from distillbench.errors import ConfigError, ResultError
from distillbench.evaluation.evaluate import evaluate
from distillbench.experiments.context import RunContext
from distillbench.experiments.reproduce import reproduce
from distillbench.experiments.restore import restore, spec_of
from distillbench.interfaces import INTERFACE_VERSION
from distillbench.metrics.ranking import counts_of
from distillbench.registry.discovery import Registry
from distillbench.results.store import Result


@pytest.mark.parametrize(
    ("schedule", "loss"),
    [
        ("serial", "rep"),
        ("serial", "rep:0.3,ce"),
        ("parallel", "ce,pred"),
        ("scratch", "ce:2"),
        ("teacher", "ce"),
    ],
)
def test_a_result_leads_back_to_its_spec(
    make_result: Callable[..., Result], registry: Registry, schedule: str, loss: str
) -> None:
    result = make_result(
        "training.learning_rate=0.01", schedule=schedule, loss=loss, train_selector="random", seed=3
    )
    assert spec_of(result, registry).key == result.id


def test_a_result_leads_back_to_its_spec_where_the_recipe_now_says_what_it_left_at_its_default(
    make_result: Callable[..., Result], registry: Registry
) -> None:
    result = make_result("training.patience=0")
    assert result.record.setup.data.name == "digits"  # whose recipe has a patience
    assert "patience" not in result.content["setup"]["training"]
    assert spec_of(result, registry).key == result.id


def test_a_result_whose_settings_mean_something_else_now_is_refused(
    make_result: Callable[..., Result], registry: Registry
) -> None:
    result = make_result(schedule="serial")
    schedule = {
        **result.content["setup"]["schedule"],
        "distribution": "elsewhere",
        "version": "0.0.1",
    }
    changed = {**result.content["setup"], "schedule": schedule}
    with pytest.raises(ResultError, match="schedule would differ"):
        spec_of(Result(result.path, {**result.content, "setup": changed}), registry)


def test_a_result_of_another_release_leads_back_and_one_of_another_interface_does_not(
    make_result: Callable[..., Result], registry: Registry
) -> None:
    older = json.loads(json.dumps(make_result(schedule="serial").content))
    for choice in (older["setup"]["student"], older["setup"]["losses"]["ce"]):
        choice["version"] = "0.0.1"
    result = Result(Path("older.json"), older)
    assert spec_of(result, registry).k == 4
    other = Result(Path("other.json"), older | {"interface": 99})
    with pytest.raises(
        ResultError,
        match=rf"the interface \(version 99 then, {INTERFACE_VERSION} now\) would differ",
    ):
        spec_of(other, registry)


def test_a_stored_run_is_rebuilt_with_its_weights_and_agrees_when_run_again(
    make_spec: Callable[..., RunSpec], registry: Registry, tmp_path: Path
) -> None:
    result = run_experiment(
        make_spec("training.threads=1", schedule="serial"), RunContext(tmp_path, "cpu")
    )
    rebuilt = restore(result, registry, "cpu")
    assert rebuilt.networks == ("student", "teacher")
    experiment = rebuilt.experiment
    found = evaluate(
        experiment.models["student"],
        experiment.splits.test,
        experiment.evaluation_views["student"],
        16,
        torch.device("cpu"),
        metrics_for(experiment),
        metrics_for(experiment).names,
        warn=pytest.fail,
    )
    assert {**found.metrics, **counts_of(found.predictions)} == result.content["metrics"]

    again = reproduce(result, registry, "cpu")
    assert again.agrees
    names = {number.name for number in again.numbers}
    assert {"metrics.gap", "fidelity.kl", "history[0].networks.teacher.terms.ce"} <= names
    assert not any("seconds" in name or "latency" in name for name in names)

    wrong = Result(
        result.path, {**result.content, "metrics": {**result.content["metrics"], "gap": 0.123}}
    )
    (differing,) = [
        number for number in reproduce(wrong, registry, "cpu").numbers if not number.agrees
    ]
    assert (differing.name, differing.then) == ("metrics.gap", 0.123)


def test_weights_of_another_network_are_refused_by_name(
    make_result: Callable[..., Result], registry: Registry
) -> None:
    result = make_result(schedule="scratch")
    with pytest.raises(
        ResultError, match=r"network\.safetensors' does not hold the weights of run"
    ):
        restore(result, registry, "cpu")


def test_a_run_is_rebuilt_in_its_own_precision_whatever_the_rule_is_here(
    make_spec: Callable[..., RunSpec],
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = run_experiment(
        make_spec("training.threads=1", schedule="serial"), RunContext(tmp_path, "cpu")
    )
    monkeypatch.setattr("distillbench.training.build.precision_on", lambda *_: "bf16")
    rebuilt = restore(result, registry, "cpu")
    assert rebuilt.networks == ("student", "teacher")
    assert (
        {model.precision for model in rebuilt.experiment.models.values()}
        == {rebuilt.experiment.precision}
        == {"fp32"}
    )


def test_a_run_with_more_threads_than_cores_is_not_started_but_a_stored_one_is_looked_into(
    make_spec: Callable[..., RunSpec],
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = make_spec("training.threads=2", schedule="scratch")
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    result = run_experiment(spec, RunContext(tmp_path, "cpu"))
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert restore(result, registry, "cpu").networks == ("student",)
    with pytest.raises(
        ConfigError, match=r"training\.threads = 2 is more than this machine has; it has 1 core"
    ):
        run_experiment(spec, RunContext(tmp_path, "cpu", again=True))
