"""A folder of video files becomes a folder of features."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from encoded import ENCODINGS, SIDE, Encoding, decoded, encode, painted, shown_at
from grid_backbone import ENDING, install, numbers_of

from distillbench.errors import ConfigError, DataError
from distillbench.registry.discovery import discover
from distillbench.video.extract import Outcome, request, workers_of
from distillbench.video.extraction import FILE, Extraction

pytest.importorskip("av")
CPU = torch.device("cpu")
Command = Callable[..., tuple[int, str, str]]


def extraction(name: str, fps: float = 1.0, stored: str = "float16", **knobs: object) -> Extraction:
    return Extraction.requested(discover(), name, knobs, fps, stored)


def extracted(
    name: str, given: list[Path], out: Path, workers: int = 1, **how: object
) -> list[Outcome]:
    found: list[Outcome] = []
    request(given, out, extraction(name, **how), discover()).make(workers, CPU, found.append)  # type: ignore[arg-type]
    return found


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return install(tmp_path / "installed", monkeypatch)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    (folder / "more").mkdir(parents=True)
    for name, first in (("a", 1), ("b", 40), ("more/c", 90)):
        encode(folder / name, Encoding(), [painted(first + number) for number in range(26)])
    return folder


@pytest.mark.parametrize("name", ENCODINGS)
def test_features_are_of_the_frames_that_a_full_decode_finds(
    grid: str, tmp_path: Path, name: str
) -> None:
    path = encode(tmp_path / "clip", ENCODINGS[name])
    extracted(grid, [path], tmp_path / "features", fps=3.0)
    features = np.load(tmp_path / "features" / "clip.npy")
    assert features.dtype == np.float16
    assert numbers_of(features) == shown_at(decoded(path), Fraction(3))


def test_a_folder_keeps_its_folders(grid: str, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "features"
    found = extracted(grid, [clips], out, stored="float32", cells=4)
    assert [each.source.id for each in found] == ["a", "b", "more/c"]
    assert numbers_of(np.load(out / "more" / "c.npy")) == [90, 115]
    assert json.loads((out / FILE).read_text()) == {
        "format": 1,
        "backbone": {"name": grid, "knobs": {"cells": 4}, "distribution": "grids", "version": "1"},
        "fps": 1.0,
        "stored": "float32",
    }


def test_what_was_made_is_not_made_again(grid: str, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "features"
    extracted(grid, [clips], out)
    assert extracted(grid, [clips], out) == []
    (out / "a.npy").unlink()
    (out / "b.npy").write_bytes((out / "b.npy").read_bytes()[:-1])
    encode(clips / "more" / "c", Encoding(), [painted(7)])
    later = (out / "more" / "c.npy").stat().st_mtime + 5
    os.utime(clips / "more" / "c.mp4", (later, later))
    again = extracted(grid, [clips], out)
    assert [each.source.id for each in again] == ["a", "b", "more/c"]
    assert numbers_of(np.load(out / "more" / "c.npy")) == [7]


def test_stopped_it_leaves_whole_arrays_and_goes_on(grid: str, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "features"

    def stop(outcome: Outcome) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        request([clips], out, extraction(grid), discover()).make(1, CPU, stop)
    assert [path.name for path in out.iterdir() if path.suffix == ".npy"] == ["a.npy"]
    assert [each.source.id for each in extracted(grid, [clips], out)] == ["b", "more/c"]


@pytest.mark.parametrize("changed", [{"fps": 2.0}, {"stored": "float32"}, {"cells": 8}])
def test_features_that_were_made_otherwise_are_left_alone(
    grid: str, clips: Path, tmp_path: Path, changed: dict[str, object]
) -> None:
    out = tmp_path / "features"
    extracted(grid, [clips], out)
    with pytest.raises(ConfigError, match="has features that were made otherwise"):
        extracted(grid, [clips], out, **changed)
    (out / FILE).unlink()
    with pytest.raises(ConfigError, match=f"has arrays without {FILE}"):
        extracted(grid, [clips], out)
    (out / FILE).write_text('{"format": 1}')
    with pytest.raises(DataError, match="does not tell how features were made"):
        extracted(grid, [clips], out)


def test_a_broken_file_costs_itself(grid: str, clips: Path, tmp_path: Path) -> None:
    (clips / "broken.mp4").write_bytes(b"no video")
    (clips / "notes.txt").write_text("not looked at")
    found = extracted(grid, [clips], tmp_path / "features")
    assert {each.source.id: bool(each.problem) for each in found} == {
        "a": False,
        "b": False,
        "broken": True,
        "more/c": False,
    }


def test_files_that_cannot_be_told_apart_or_found_are_refused(
    grid: str, clips: Path, tmp_path: Path
) -> None:
    shutil.copy(clips / "a.mp4", clips / "a.mkv")
    (tmp_path / "empty").mkdir()
    given = [clips, tmp_path / "nowhere.mp4", tmp_path / "empty"]
    with pytest.raises(ConfigError) as refused:
        extracted(grid, given, tmp_path / "features")
    assert [" ".join(problem.split()[-4:]) for problem in refused.value.problems] == [
        "such file or folder",
        "folder or below it",
        "the same id 'a'",
    ]
    assert not (tmp_path / "features").exists()


def test_numbers_that_half_precision_cannot_hold_are_refused(
    grid: str, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "distillbench.video.backbone.LoadedBackbone.encode"
    huge = lambda self, pictures: torch.full((len(pictures), 3), 1e6)  # noqa: E731
    monkeypatch.setattr(source, huge)
    (first, *_) = extracted(grid, [clips], tmp_path / "half")
    assert "float16 cannot hold" in first.problem
    (first, *_) = extracted(grid, [clips], tmp_path / "single", stored="float32")
    assert not first.problem


@pytest.mark.slow
def test_processes_make_the_same_and_survive_a_file_that_ends_one(
    grid: str, clips: Path, tmp_path: Path
) -> None:
    white = np.full((SIDE, SIDE, 3), 255, np.uint8)
    encode(clips / "a-white", Encoding(), [white])
    alone, together = tmp_path / "alone", tmp_path / "together"
    extracted(grid, [clips], alone)
    found = extracted(ENDING, [clips], together, workers=2)
    problems = {each.source.id: each.problem for each in found if each.problem}
    assert problems == {"a-white": "it ended the process that read it"}
    for name in ("a", "b", "more/c"):
        one, other = (np.load(folder / f"{name}.npy") for folder in (alone, together))
        assert np.array_equal(one, other)


def test_the_command_lists_what_cannot_be_used(
    grid: str, clips: Path, tmp_path: Path, command: Command
) -> None:
    given = ("extract", clips, "--out", tmp_path / "features", "--backbone", grid, "--workers", "1")
    code, out, _ = command(*given, "--set", "backbone.cells=2")
    assert (code, out.split(" made in ")[0]) == (0, "features of 3 videos, 6 frames,")
    (clips / "[red]broken.mp4").write_bytes(b"no video")
    code, out, err = command(*given, "--set", "backbone.cells=2")
    assert code == 1
    assert "features of 0 videos" in out
    assert "3 were there" in out
    assert "[red]broken.mp4: it cannot be read: Invalid data" in err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--fps", "0"), "frames a second must be from"),
        (("--backbone", "grit"), "no backbone is called 'grit'"),
        (("--set", "cells=2"), "--set takes SECTION.KNOB=VALUE"),
        (("--set", "student.cells=2"), "--set takes backbone.KNOB=VALUE here"),
        (("--set", "backbone.sells=2"), "sells"),
        (("--workers", "0"), "--workers takes a number from 1, or auto"),
    ],
)
def test_what_cannot_be_is_refused(
    grid: str, clips: Path, tmp_path: Path, command: Command, wrong: tuple[str, str], said: str
) -> None:
    code, _, err = command(
        "extract", clips, "--out", tmp_path / "features", "--backbone", grid, *wrong
    )
    assert (code, said in err) == (2, True), err
    assert not (tmp_path / "features").exists()


def test_a_gpu_is_shared_by_no_processes() -> None:
    assert workers_of("auto", torch.device("cuda")) == 1
    assert workers_of("3", CPU) == 3
