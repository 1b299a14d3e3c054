"""Packed shards through the command line: as the data set was, and faster."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from plugins.test_npy import KINDS, VIDEOS, run, write
from running import installed

from distillbench.testing.promises import Subject
from distillbench.testing.runner import verdicts

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path / "cache"))


def test_a_run_on_what_was_packed_is_the_run_on_what_it_was(
    command: Command, tmp_path: Path
) -> None:
    folder = write(tmp_path / "data")
    code, out, err = command("data", "pack", folder, tmp_path / "to" / "packed", "--data", "npy")
    assert code == 0, err
    assert "error: none, every number is what it was" in out
    before = run(
        command, "npy", folder, "--set", "data.validation_share=0.1", "--set", "data.test_share=0.1"
    )
    after = run(command, "packed", tmp_path / "to" / "packed")
    assert after["metrics"] == before["metrics"]
    assert after["cost"]["bytes_read"] == before["cost"]["bytes_read"]
    assert after["data"]["classes"] == len(KINDS)


def test_widths_of_packed_shards_are_shown_in_numbers(command: Command, tmp_path: Path) -> None:
    folder = write(tmp_path / "data")
    assert command("data", "pack", folder, tmp_path / "p", "--data", "npy")[0] == 0
    code, out, _ = command("data", "inspect", tmp_path / "p")
    assert code == 0
    assert out.count("features 8 ") == 4  # three shards of 16 bytes a frame, and all of them


def test_steps_and_the_error_are_printed(command: Command, tmp_path: Path) -> None:
    folder = write(tmp_path / "data")
    (folder / "more.npy").write_bytes(b"hello")
    flags = ["--data", "npy", "--dtype", "uint8"]
    code, _, err = command("data", "pack", folder, tmp_path / "p", *flags)
    assert (code, "more: it is no .npy file" in err) == (2, True)
    assert not (tmp_path / "p").exists()
    code, out, err = command("data", "pack", folder, tmp_path / "p", *flags, "--skip-bad-records")
    assert code == 0, err
    assert "left out 1: it is no .npy file, or its header is damaged" in out
    assert "frames: features 8, uint8 in steps of 0." in out
    assert " rms, " in out
    described = json.loads((tmp_path / "p" / "packed.json").read_text())
    largest = max(each["largest"] for each in described["shards"].values())
    assert f"error: {largest:.3g} at most" in out


def test_data_without_files_is_packed_too(command: Command, tmp_path: Path) -> None:
    sizes = [f"data.{part}=30" for part in ("train", "validation", "test")]
    knobs = [word for each in sizes for word in ("--set", each)]
    code, out, err = command("data", "pack", "-", tmp_path / "p", "--data", "digits", *knobs)
    assert code == 0, err
    assert out.startswith("30 train, 30 validation, 30 test videos in ")


@pytest.mark.parametrize(("name", "most"), [("packed", 2), ("packed-single-label", 1)])
def test_it_keeps_the_contract(command: Command, tmp_path: Path, name: str, most: int) -> None:
    folder = write(tmp_path / "data", most=most)
    assert len(list(folder.glob("*.npy"))) == VIDEOS
    assert np.load(folder / "v0.npy").dtype == np.float16
    code, _, err = command("data", "pack", folder, tmp_path / "p", "--data", "npy")
    assert code == 0, err
    component = next(each for each in installed() if each.name == name)
    found = verdicts(Subject(component, data_dir=str(tmp_path / "p")))
    assert {verdict.status for verdict in found} == {"kept"}, found
