"""The tutorial's shell blocks run, line by line, in an empty folder and an environment of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"```(shell|toml|python)\n(.*?)```", re.DOTALL)
FIRST, _, SECOND = PAGE.read_text(encoding="utf-8").partition("## From video files to labels\n")


@pytest.fixture
def environment(tmp_path):
    """A fresh virtual environment that sees what is installed here, so that the tutorial installs nothing into it."""
    folder = tmp_path / "environment"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    here = sysconfig.get_paths()["purelib"]
    (site / "outer.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    for command in ("distillbench", "pip"):
        script = folder / "bin" / command
        script.write_text(f'#!/bin/sh\nexec "{folder / "bin" / "python"}" -m {command} "$@"\n')
        script.chmod(0o755)
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    offline = {
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
    }  # pip reads that 0 as --no-build-isolation
    return {**os.environ, **offline, "PATH": path, "VIRTUAL_ENV": str(folder)}


def run(page: str, place: Path, environment: dict[str, str]) -> str:
    """Writes the files of a page and runs its commands in an empty folder; returns what they printed."""
    place.mkdir()
    said = ""
    for kind, text in BLOCK.findall(page):
        if kind != "shell":
            name = text.partition("\n")[0].removeprefix("# ")
            (place / name).write_text(text, encoding="utf-8")
            continue
        for line in text.splitlines():
            done = subprocess.run(
                line, shell=True, cwd=place, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
            said += done.stdout
    return said


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tutorial_runs(environment, tmp_path):
    place = tmp_path / "place"
    said = run(FIRST, place, environment)
    assert "my-selector" in said, "a command shows the rows of the new plugin"
    assert "tuned_trials = 3" in said
    assert "A - B" in said, "the last command compares the two arms"
    assert sys.prefix not in str(list(place.rglob("*.pth")))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_clips_become_features_and_a_clip_that_was_never_seen_its_label(environment, tmp_path):
    pytest.importorskip("av")
    said = run(SECOND, tmp_path / "place", environment)
    for label in ("flower", "temple"):
        best = said.partition(f"unseen/{label}.mp4\n")[2].partition("\n")[0]
        assert best.split()[-1] == label, said
    assert said.count("(3 of 8 frames)") == 2
