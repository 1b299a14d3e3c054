"""Single-label data all the way: its own metrics choose epochs, rank the board and are compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from blobs import CLASSES, dataset

from distillbench.errors import ConfigError
from distillbench.evaluation.metric_set import metrics_of
from distillbench.interfaces import DataSet, Metric
from distillbench.registry.discovery import Component, Registry, discover

Command = Callable[..., tuple[int, str, str]]


class Spread(Metric):
    """The share of classes that are ever predicted; has no influence."""

    title = "spread"
    label_kinds = frozenset({"single-label"})

    def compute(self, predictions: Any) -> float:
        return len(set(predictions.classes[:, 0].tolist())) / CLASSES


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Registry]:
    """Installs a data set `blobs`, and more components."""

    def installed(cls: type[DataSet], *more: Component) -> Registry:
        registry = discover()
        found = [*registry, Component("data", "blobs", cls, "somebody", "1"), *more]
        made = Registry(found, registry.failures, registry.hooks)
        monkeypatch.setattr("distillbench.registry.discovery.discover", lambda kind="": made)
        return made

    return installed


@pytest.fixture
def run(command: Command, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs a question on the blobs and returns its result file."""

    def call(*flags: object) -> dict[str, Any]:
        sizes = [
            "student.cell_size=8",
            "teacher.cell_size=8",
            "training.epochs=3",
            "training.batch_size=16",
        ]
        knobs = [word for size in sizes for word in ("--set", size)]
        code, out, err = command(
            *("run", "--data", "blobs", "--k", "2", "--schedule", "scratch", *knobs, *flags),
            *("--results", tmp_path),
        )
        assert code == 0, err
        content: dict[str, Any] = json.loads(Path(out.splitlines()[-1]).read_text())
        return content

    return call


def test_epochs_are_chosen_by_accuracy_and_the_board_ranks_by_it(
    install: Callable[..., Registry],
    run: Callable[..., dict[str, Any]],
    command: Command,
    tmp_path: Path,
) -> None:
    install(dataset("single-label"))
    rates = [("--set", f"training.learning_rate={rate}") for rate in (0.001, 0.03)]
    found = [run("--seed", seed, *rate) for rate in rates for seed in (0, 1)]
    for content in found:
        assert content["budget"]["epoch_chosen_by"] == "validation top-1"
        assert content["data"]["metrics"] == [
            "top_1",
            "top_5",
            "mean_class_accuracy",
            "calibration_error",
        ]
        assert {"gap", "map", "hit_at_1"} <= set(content["metrics"])
        assert "map_at_20_all_classes" not in content["metrics"]
        learnt = [row["networks"]["student"] for row in content["history"]]
        values = [epoch["validation"]["top_1"] for epoch in learnt]
        assert learnt[-1]["best"] == 1 + values.index(max(values))
        assert "calibration_error" not in learnt[0]["validation"]
    code, out, _ = command("leaderboard", tmp_path, "--format", "table")
    heads = out.splitlines()[0]
    assert code == 0
    assert all(title in heads for title in ("top-1 ± 95 %", "top-5 ± 95 %", "calibration error"))
    assert "GAP" not in heads
    rows = json.loads(command("leaderboard", tmp_path, "--each", "--format", "json")[1])
    assert [row["top_1"] for row in rows] == sorted((row["top_1"] for row in rows), reverse=True)
    assert all(row["top_1_low"] < row["top_1"] < row["top_1_high"] for row in rows)
    sides = ("--a", "training.learning_rate=0.03", "--b", "training.learning_rate=0.001")
    code, out, err = command(
        "compare", *sides, "--results", tmp_path, "--resamples", "100", "--format", "json"
    )
    assert code == 0, err
    differences = json.loads(out)["differences"]
    assert set(differences) == {"top_1", "top_5", "mean_class_accuracy"}
    assert differences["top_1"]["paired_seeds"] == 2


def test_a_data_set_names_the_metrics_that_it_is_judged_by_and_an_error_ranks_upwards(
    install: Callable[..., Registry],
    run: Callable[..., dict[str, Any]],
    command: Command,
    tmp_path: Path,
) -> None:
    install(dataset("single-label", ["calibration_error", "top_1"]))
    found = [run("--seed", seed) for seed in (0, 1, 2)]
    for content in found:
        learnt = [row["networks"]["student"] for row in content["history"]]
        values = [epoch["validation"]["calibration_error"] for epoch in learnt]
        assert learnt[-1]["best"] == 1 + values.index(min(values))
        assert content["budget"]["epoch_chosen_by"] == "validation calibration error"
    rows = json.loads(command("leaderboard", tmp_path, "--each", "--format", "json")[1])
    assert [row["calibration_error"] for row in rows] == sorted(
        row["calibration_error"] for row in rows
    )
    heads = command("leaderboard", tmp_path)[1].splitlines()[0]
    assert heads.index("calibration error") < heads.index("top-1")
    assert "GAP" not in heads


def test_a_metric_without_influence_gets_its_interval_from_resampled_videos(
    install: Callable[..., Registry],
    run: Callable[..., dict[str, Any]],
    command: Command,
    tmp_path: Path,
) -> None:
    install(
        dataset("single-label", ["top_1", "spread"]),
        Component("metric", "spread", Spread, "somebody", "1"),
    )
    keys = [run("--seed", 0)["id"], run("--seed", 0, "--epochs", 1)["id"]]
    rows = json.loads(command("leaderboard", tmp_path, "--each", "--format", "json")[1])
    assert all(row["spread_low"] <= row["spread"] <= row["spread_high"] for row in rows)
    code, out, err = command(
        "compare", *keys, "--results", tmp_path, "--resamples", "100", "--format", "json"
    )
    assert code == 0, err
    assert set(json.loads(out)["differences"]) == {"top_1", "spread"}
    install(dataset("single-label", ["top_1", "spread"]))  # the plugin is gone, its numbers stay
    rows = json.loads(command("leaderboard", tmp_path, "--each", "--format", "json")[1])
    assert all(row["spread"] > 0 and "spread_low" not in row for row in rows)
    assert "spread" in command("leaderboard", tmp_path)[1].splitlines()[0]


@pytest.mark.parametrize(
    ("kind", "names", "told"),
    [
        ("single-label", ["top-1"], "no metric is called 'top-1', did you mean 'top_1'"),
        (
            "multi-label",
            ["top_1"],
            "has multi-label labels, and its metric 'top_1' is not for these",
        ),
    ],
)
def test_a_metric_that_cannot_be_is_refused_before_anything_is_trained(
    install: Callable[..., Registry],
    command: Command,
    tmp_path: Path,
    kind: str,
    names: list[str],
    told: str,
) -> None:
    install(dataset(kind, names))
    code, _, err = command(
        "run", "--data", "blobs", "--k", "2", "--schedule", "scratch", "--results", tmp_path
    )
    assert code == 2
    assert told in err
    assert "Traceback" not in err


def test_what_a_third_party_installs_never_chooses_the_epochs_of_our_data(
    install: Callable[..., Registry],
) -> None:
    eager: Any = type(Metric)(
        "Eager",
        (Metric,),
        {"title": "eager", "compute": lambda s, p: 1.0, "default_place": {"multi-label": -9}},
    )
    registry = install(dataset("multi-label"), Component("metric", "eager", eager, "somebody", "1"))
    blobs = registry.find("data", "blobs")
    assert blobs is not None
    assert metrics_of(blobs, registry).judged_by == ("gap", "map_at_20", "map", "eager")
    ours = [c for c in registry if c.kind != "metric"]
    with pytest.raises(
        ConfigError, match="no metric is installed that multi-label data is judged by"
    ):
        metrics_of(replace(blobs), Registry(ours, [], registry.hooks))
