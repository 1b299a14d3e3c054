"""What is in the wheel that others install."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_question_that_can_be_asked_by_name(wheel: zipfile.ZipFile) -> None:
    questions = ROOT / "plugins" / "distillbench_plugins" / "questions"
    held = {name.rpartition("/")[2] for name in wheel.namelist() if name.startswith("distillbench_plugins/questions/")}
    assert held == {path.name for path in questions.glob("*.toml")}
    assert "table1.toml" in held


def test_the_wheel_says_where_the_project_is_at_home(wheel: zipfile.ZipFile) -> None:
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    told = wheel.read(metadata).decode()
    for title in ("Documentation", "Changelog", "Source", "Issues"):
        assert f"\nProject-URL: {title}, https://github.com/distillbench/distillbench" in told
