"""The tutorial's blocks run, line by line, in an empty folder and an environment of their own.

So do the blocks of other pages that install a plugin, whose runs are made small (`page_stage`).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import venv
from dataclasses import replace
from pathlib import Path

import pytest
from page_blocks import BLOCKS, Block
from page_stage import smaller

TUTORIAL = [block for block in BLOCKS if block.page == "docs/tutorial.md"]
SECOND = [block for block in TUTORIAL if "## From video files to labels\n" in block.before]
FIRST = [block for block in TUTORIAL if block not in SECOND]


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


def run(blocks: list[Block], place: Path, environment: dict[str, str]) -> str:
    """Writes the files of blocks and runs their commands in an empty folder; returns what they printed."""
    place.mkdir()
    said = ""
    for block in blocks:
        if not block.is_shell:
            (place / block.file_name).write_text(block.text, encoding="utf-8")
            continue
        for line in block.commands:
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


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/writing-a-plugin.md"])
def test_a_new_plugin_is_made_as_pages_say(page, environment, tmp_path):
    (block,) = [b for b in BLOCKS if b.page == page and "distillbench new" in b.text]
    small = [
        shlex.join([*shlex.split(line), *smaller(shlex.split(line))]) for line in block.commands
    ]
    said = run([replace(block, text="\n".join(small))], tmp_path / "place", environment)
    assert "my-selector" in said
