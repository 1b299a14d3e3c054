"""Damaged labels and predictions: a row loses its intervals, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from results.damage import changed, pipe, results_of, written
from results.made_up import CLASSES, VIDEOS
from running import run_experiment
from safetensors.numpy import load_file, save_file

from distillbench.analysis.loading import load
from distillbench.config.run_spec import RunSpec
from distillbench.errors import ResultError
from distillbench.experiments.context import RunContext
from distillbench.metrics import predictions
from distillbench.results import test_labels
from distillbench.storage import load_tensors, save_tensors

Command = Callable[..., tuple[int, str, str]]


def relabelled(**tensors: list[Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        file = folder / "labels" / "made-up.safetensors"
        held, about = load_tensors(file)
        changes = {name: torch.tensor(value) for name, value in tensors.items() if name != "count"}
        about |= {"count": tensors["count"][0]} if "count" in tensors else {}
        save_tensors(file, {**held, **changes}, about)

    return damage


DAMAGED_LABELS = {
    "an offset beyond": lambda folder: relabelled(offsets=[0] * VIDEOS + [2**62])(folder),
    "offsets that fall": relabelled(offsets=[0, 5, 3]),
    "offsets in fractions": relabelled(offsets=[0.0, 1.0]),
    "no offsets": relabelled(offsets=[]),
    "negative classes": lambda folder: relabelled(offsets=[0, 1], classes=[-1])(folder),
    "classes out of range": relabelled(offsets=[0, 1], classes=[CLASSES]),
    "other videos": relabelled(offsets=[0, 1], classes=[0]),
    "a count of words": relabelled(count=["many"]),
    "another count": relabelled(count=[CLASSES + 1]),
    "bytes": lambda folder: written(b"damaged")(folder / "labels" / "made-up.safetensors"),
    "a pipe": lambda folder: pipe(folder / "labels" / "made-up.safetensors"),
    "a list said of them": lambda folder: save_tensors(
        folder / "labels" / "made-up.safetensors",
        {"offsets": torch.zeros(1)},
        [],  # type: ignore[arg-type]
    ),
}


@pytest.mark.parametrize("kind", DAMAGED_LABELS)
def test_damaged_labels_cost_the_interval_of_map_and_are_said_once(
    folder: Path, command: Command, kind: str
) -> None:
    DAMAGED_LABELS[kind](folder)
    code, out, err = command("leaderboard", folder, "--format", "json")
    rows = [row for row in json.loads(out) if row["status"] == "finished"]
    assert code == 0
    assert len(rows) == 5
    assert all(row["gap_low"] is not None and row["map_at_20_low"] is None for row in rows)
    assert "made-up" in err
    assert err.count("made-up.safetensors") <= 1
    a, b = (row["run"] for row in rows[:2])
    code, out, _ = command("compare", a, b, "--results", folder, "--resamples", 100)
    assert code == 0
    assert "note: " in out
    assert "made-up" in out
    assert "older run" not in out


def test_damaged_labels_are_kept_anew_by_the_next_run(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    done = run_experiment(make_spec(schedule="scratch"), RunContext(tmp_path))
    (file,) = (tmp_path / "labels").glob("*")
    file.write_bytes(b"damaged")
    run_experiment(make_spec(schedule="scratch"), RunContext(tmp_path, again=True))
    assert test_labels.find(tmp_path, done.content["data"]["fingerprints"]["test"]) is not None


DAMAGED_ARRAYS: Mapping[str, Callable[[dict[str, Any]], object]] = {
    "ids that are numbers": lambda a: a.update(ids=np.frombuffer(b"[1, 2]", np.uint8)),
    "ids that are no list": lambda a: a.update(ids=np.frombuffer(b"7", np.uint8)),
    "ids that are nested": lambda a: a.update(ids=np.frombuffer(b"[" * 99_999, np.uint8)),
    "ids that are too few": lambda a: a.update(ids=np.frombuffer(b'["a"]', np.uint8)),
    "ids that are alike": lambda a: a.update(
        ids=np.frombuffer(json.dumps(["a"] * VIDEOS).encode(), np.uint8)
    ),
    "ids that are missing": lambda a: a.pop("ids"),
    "scores in double precision": lambda a: a.update(scores=a["scores"].astype(np.float64)),
    "scores that are none": lambda a: a.update(scores=a["scores"] * np.float32("nan")),
    "scores that are infinite": lambda a: a.update(scores=np.full_like(a["scores"], np.inf)),
    "scores that are worst first": lambda a: a.update(scores=a["scores"][:, ::-1].copy()),
    "scores of fewer classes": lambda a: a.update(scores=a["scores"][:, :3].copy()),
    "scores in one list": lambda a: a.update(scores=a["scores"].ravel()),
    "classes out of range": lambda a: a.update(classes=a["classes"] + 1),
    "classes that are negative": lambda a: a.update(classes=-a["classes"]),
    "classes in fractions": lambda a: a.update(classes=a["classes"].astype(np.float32)),
    "hits that are numbers": lambda a: a.update(hits=a["hits"].astype(np.int8)),
    "hits that are neither": lambda a: a.update(
        hits=np.full(a["hits"].shape, 2, np.uint8).view(np.bool_)
    ),
    "positives that are negative": lambda a: a.update(positives=-a["positives"]),
    "positives that are too many": lambda a: a.update(positives=a["positives"] + 2**30),
    "positives that are fewer than hits": lambda a: a.update(positives=a["positives"] * 0),
    "hits at positives beyond them": lambda a: a.update(hits_at_positives=a["positives"] + 1),
    "class positives that are negative": lambda a: a.update(class_positives=-a["class_positives"]),
    "class positives of no class": lambda a: a.update(class_positives=a["class_positives"][:0]),
    "class positives that are a number": lambda a: a.update(
        class_positives=np.array(a["class_positives"].sum())
    ),
    "class positives that do not add up": lambda a: a.update(
        class_positives=a["class_positives"] + 1
    ),
}


@pytest.mark.parametrize("kind", DAMAGED_ARRAYS)
def test_damaged_predictions_cost_a_row_its_interval_and_are_said_once(
    folder: Path, command: Command, kind: str
) -> None:
    best = max(load([folder]).results, key=lambda result: result.content["metrics"]["gap"])
    file = folder / best.content["files"]["predictions"]
    arrays = dict(load_file(file))
    DAMAGED_ARRAYS[kind](arrays)
    save_file(arrays, file, {"format": "distillbench top-20 predictions, format 1"})
    with pytest.raises(ResultError, match=file.name):
        predictions.load(file)
    code, out, err = command("leaderboard", folder, "--format", "json")
    rows = {row["run"]: row for row in json.loads(out) if row["status"] == "finished"}
    assert code == 0
    assert rows.pop(best.id)["gap_low"] is None
    assert all(row["gap_low"] is not None for row in rows.values())
    assert err.count(file.name) == 1
    code, _, err = command("compare", best.id, next(iter(rows)), "--results", folder)
    assert code == 2
    assert file.name in err


def test_predictions_of_another_number_of_videos_than_the_result_says_are_refused(
    folder: Path,
) -> None:
    first, *_ = results_of(folder)
    changed("metrics.videos", VIDEOS + 1)(first)
    with pytest.raises(ResultError, match=f"of the {VIDEOS + 1} test videos"):
        next(r for r in load([folder]).results if r.id == first.stem).predictions()
