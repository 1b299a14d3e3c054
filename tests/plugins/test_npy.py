"""Your own features through the command line: a folder of arrays of float16 and its labels."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import built, installed

from distillbench.errors import DataError
from distillbench.testing.promises import Subject
from distillbench.testing.runner import verdicts
from distillbench_plugins.datasets.npy import Npy, NpySingleLabel

Command = Callable[..., tuple[int, str, str]]

WIDTH, VIDEOS = 8, 60
KINDS = ("bird", "cat", "dog")
TINY = [
    "teacher.cell_size=4",
    "student.cell_size=4",
    "training.epochs=1",
    "training.batch_size=16",
    "data.validation_share=0.2",
    "data.test_share=0.3",
]


def write(folder: Path, dtype: str = "float16", most: int = 2) -> Path:
    """Writes arrays in which every class has a number of its own, and their labels."""
    random = np.random.default_rng(0)
    folder.mkdir()
    rows = []
    for number in range(VIDEOS):
        classes = random.choice(len(KINDS), random.integers(1, most + 1), replace=False)
        frames = 9 * random.random((random.integers(3, 9), WIDTH))
        frames[:, classes] += 50
        np.save(folder / f"v{number}.npy", frames.astype(dtype))
        rows.append((f"v{number}", ";".join(KINDS[each] for each in classes)))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "labels"), *rows])
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path / "cache"))


def run(command: Command, data: str, folder: Path, *flags: str) -> dict[str, Any]:
    """Runs on a folder; returns the result."""
    results = folder.parent / "results"
    settings = [word for each in TINY for word in ("--set", each)]
    named = ["--data", data, "--data-dir", folder, "--results", results]
    code, _, err = command("run", *named, "--k", "2", *settings, *flags)
    assert code == 0, err
    (path,) = results.glob("*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize(("dtype", "size"), [("uint8", 1), ("float16", 2), ("float32", 4)])
def test_a_run_counts_the_bytes_that_frames_have_where_they_are_stored(
    command: Command, tmp_path: Path, dtype: str, size: int
) -> None:
    found = run(command, "npy", write(tmp_path / "data", dtype))
    assert found["data"]["classes"] == len(KINDS)
    assert found["cost"]["frames_read"] == 2
    assert found["cost"]["bytes_read"] == 2 * WIDTH * size
    assert "gap" in found["metrics"]


@pytest.mark.parametrize(
    "flags",
    [
        "--selector gumbel --schedule parallel",
        "--selector motion --set data.normalise=l2",
        "--schedule function-matching --set data.normalise=standardise",
    ],
)
def test_whatever_looks_at_frames_takes_float16(
    command: Command, tmp_path: Path, flags: str
) -> None:
    assert run(command, "npy", write(tmp_path / "data"), *flags.split())["metrics"]


def test_one_label_a_video_is_judged_as_such(command: Command, tmp_path: Path) -> None:
    found = run(command, "npy-single-label", write(tmp_path / "data", most=1))
    assert "top_1" in found["metrics"]


def test_one_label_a_video_of_many_labels_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path / "one", most=1)
    with caplog.at_level(logging.WARNING):
        built(Npy, dir=str(folder)).splits()
    assert "every training video has exactly one label: npy-single-label" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        built(NpySingleLabel, dir=str(folder)).splits()
        built(Npy, dir=str(write(tmp_path / "two"))).splits()
    assert not caplog.text


def test_several_labels_a_video_are_refused_where_there_is_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it has more than one label"):
        built(NpySingleLabel, dir=str(write(tmp_path / "data"))).splits()


def test_bad_files_are_one_list_and_exit_2_or_are_reported_with_the_result(
    command: Command, tmp_path: Path
) -> None:
    folder = write(tmp_path / "data")
    np.save(folder / "v0.npy", np.array([[{}]], object), allow_pickle=True)
    np.save(folder / "v1.npy", np.full((3, WIDTH), np.nan, np.float16))
    np.save(folder / "more.npy", np.ones((3, WIDTH), np.float16))
    named = ["--data", "npy", "--data-dir", folder, "--set", "data.check_values=true"]
    code, out, err = command("run", *named, "--k", "2")
    assert (code, out) == (2, "")
    for line in (
        "  - v0: it holds pickled objects, which are never unpickled",
        "  - v1: it has a number that is not finite (frame 0)",
        "  - more: it has an array and no labels",
    ):
        assert line in err
    found = run(command, "npy", folder, "--set", "data.skip_bad_records=true")
    assert sum(found["data"]["videos"].values()) == VIDEOS - 2
    assert "1 records left out: it has an array and no labels" in " ".join(found["warnings"])


@pytest.mark.parametrize(("name", "most"), [("npy", 2), ("npy-single-label", 1)])
def test_it_keeps_the_contract(tmp_path: Path, name: str, most: int) -> None:
    folder = write(tmp_path / "data", most=most)
    component = next(each for each in installed() if each.name == name)
    found = verdicts(Subject(component, data_dir=str(folder)))
    assert {verdict.status for verdict in found} == {"kept"}, found
