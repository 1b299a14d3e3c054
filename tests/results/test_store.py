"""Results on disk."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from running import run_experiment

from distillbench.analysis.leaderboard import over_seeds, ranked, select
from distillbench.analysis.loading import load
from distillbench.analysis.rows import frame, row
from distillbench.config.run_spec import RunSpec
from distillbench.errors import ResultError
from distillbench.experiments.context import RunContext
from distillbench.results import store
from distillbench.storage import load_tensors
from measuring import measured


@pytest.fixture
def done(make_spec: Callable[..., RunSpec], tmp_path: Path) -> store.Result:
    return run_experiment(make_spec(schedule="scratch"), RunContext(tmp_path / "results"))


def test_a_result_holds_everything_and_can_be_read_again(done: store.Result) -> None:
    content = store.read(done.path).content
    for name in (
        "setup",
        "versions",
        "machine",
        "commit",
        "data",
        "history",
        "metrics",
        "cost",
        "budget",
        "sources",
        "warnings",
    ):
        assert name in content
    assert content["setup"]["student"]["distribution"] == "distillbench"
    assert content["machine"]["threads"] == 1
    assert set(content["cost"]["latency"]) == {"1", "256"}
    again = measured(done.predictions())
    assert load_tensors(done.student_path())[0].keys() >= {"encoder.rnn.lower.weight_ih_l0"}
    assert again.gap == content["metrics"]["gap"]
    assert len(done.predictions().ids) == 32


def test_a_run_is_made_once(make_spec: Callable[..., RunSpec], tmp_path: Path) -> None:
    spec, place = make_spec(schedule="scratch"), RunContext(tmp_path)
    first, second = run_experiment(spec, place), run_experiment(spec, place)
    assert first.content["finished"] == second.content["finished"]
    third = run_experiment(spec, RunContext(tmp_path, again=True))
    assert third.content["metrics"] == first.content["metrics"]
    assert len(list(tmp_path.glob("*.safetensors"))) == 2  # the first answer's files are gone


def test_no_checkpoint_is_left_behind(done: store.Result) -> None:
    assert not list((done.path.parent / "checkpoints").glob("*"))


def test_a_full_disk_leaves_the_old_result_whole(
    done: store.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = {path.name: path.read_bytes() for path in done.path.parent.glob("*.*")}
    weights, _ = load_tensors(done.student_path())
    predictions = done.predictions()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ResultError, match="No space left on device; nothing there was changed"):
        store.write(done.path.parent, done.content, weights, predictions)
    assert {path.name: path.read_bytes() for path in done.path.parent.glob("*.*")} == before


def test_two_writers_of_one_result_lose_nothing(done: store.Result) -> None:
    weights, _ = load_tensors(done.student_path())
    one = store.write(done.path.parent, done.content, weights, done.predictions())
    two = store.write(done.path.parent, done.content, {"w": torch.ones(1)}, one.predictions())
    assert store.read(done.path).predictions().ids == two.predictions().ids


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not a readable result"),
        ("[]", "no format number"),
        ('{"format": 99}', "format 99; this distillbench reads up to 2: install a newer one"),
        ('{"format": 1}', "lacks id, setup, metrics, cost, history"),
    ],
)
def test_a_bad_result_among_good_ones_is_skipped_and_named(
    done: store.Result, text: str, reason: str
) -> None:
    (done.path.parent / "bad.json").write_text(text)
    loaded = load([done.path.parent])
    assert [result.id for result in loaded.results] == [done.id]
    assert len(loaded.skipped) == 1
    assert "bad.json" in loaded.skipped[0]
    assert reason in loaded.skipped[0]


def test_rows_of_several_folders_are_ranked_together(
    done: store.Result, make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    other = run_experiment(make_spec(schedule="scratch", seed=1), RunContext(tmp_path / "other"))
    table = frame(load([done.path.parent, other.path.parent]).results)
    assert set(table["seed"]) == {0, 1}
    joined = over_seeds(table)
    assert len(joined) == 1
    assert joined["seeds"][0] == 2
    assert joined["gap"][0] == pytest.approx(table["gap"].mean())
    assert joined["gap_sd"][0] == pytest.approx(table["gap"].std())
    assert ranked(table, "gap", 1)["gap"].item() == table["gap"].max()
    assert ranked(table, "latency", 1)["latency"].item() == table["latency"].min()
    assert len(select(table, ["seed=1", "k=4"])) == 1
    assert len(select(table, ["seed=0|1"])) == 2


def test_a_rows_cost_and_quality_are_the_results(done: store.Result) -> None:
    flat = row(done)
    assert flat["gap"] == done.content["metrics"]["gap"]
    assert flat["flops"] == 2 * flat["macs"]
    assert flat["frames"] == 4
    assert flat["bytes"] == 4 * 64
    assert flat["loss"] == "ce"


def test_the_format_grows_with_the_file(done: store.Result) -> None:
    content = json.loads(done.path.read_text())
    assert content["format"] == store.FORMAT


@pytest.mark.parametrize("asked", ["rep:0.1,ce", "rep,ce"])
def test_a_loss_is_found_with_its_weights_and_without(
    make_spec: Callable[..., RunSpec], tmp_path: Path, asked: str
) -> None:
    run_experiment(make_spec(loss="rep,ce"), RunContext(tmp_path))
    table = frame(load([tmp_path]).results)
    assert table["loss"].tolist() == ["rep:0.1,ce"]
    assert len(select(table, [f"loss={asked}"])) == 1
    assert select(table, ["loss=rep:0.2,ce"]).empty
    assert select(table, ["loss=rep"]).empty


def test_a_loss_of_two_stages_is_found_by_what_was_asked(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    run_experiment(make_spec(loss="rep"), RunContext(tmp_path))
    table = frame(load([tmp_path]).results)
    assert table["loss"].tolist() == ["rep:0.1 > ce"]
    assert len(select(table, ["loss=rep"])) == 1
    assert select(table, ["loss=ce"]).empty
