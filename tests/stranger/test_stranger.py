"""A stranger's plugins, really built and installed with pip, run; broken ones are named and nothing else suffers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A folder into which pip has built and installed the stranger's project and the broken one."""
    folder = tmp_path_factory.mktemp("stranger")
    for name in ("methods", "broken"):
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps"]
        done = subprocess.run(
            [*pip, "--target", str(folder / name), str(HERE / name)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def methods(target, monkeypatch):
    monkeypatch.syspath_prepend(str(target / "methods"))


@pytest.fixture
def broken(target, monkeypatch):
    monkeypatch.syspath_prepend(str(target / "broken"))


def test_a_run_with_four_strange_parts_ends_on_the_leaderboard_with_their_distribution(
    methods, command, tiny, tmp_path
):
    flags = ["--selector", "changes", "--student", "attention", "--loss", "ce,bridge:0.1", "--schedule", "halves"]
    sizes = [word if word != "student.cell_size=8" else "student.size=4" for word in tiny]
    code, _, err = command("run", *sizes, *flags, "--set", "selector.stride=3", "--results", tmp_path)
    assert code == 0, err
    code, out, _ = command("leaderboard", tmp_path, "--format", "csv")
    assert code == 0
    assert all(word in out for word in ("attention", "changes", "halves", "bridge", "stranger-methods 2.1.0"))


def test_they_are_listed_with_their_distribution_and_described(methods, command):
    out = command("plugins")[1]
    assert out.count("stranger-methods 2.1.0") == 4
    assert "the distance of two frames that are looked at" in command("plugins", "changes")[1]


def test_they_keep_the_contract(methods, command):
    code, out, _ = command("check", "--from", "stranger-methods")
    assert code == 0, out
    assert "4 components" in out


REASONS = {
    "raises": "RuntimeError: the licence server is down",
    "exits": "SystemExit: 3",
    "absent": "ModuleNotFoundError: No module named 'broken_methods.absent'",
    "takes-a-name": "the selector name 'uniform' is taken by distillbench",
    "unknown-hook": "unknown hook 'frame_selektors', did you mean 'frame_selectors'?",
    "wrong-kind": "it must be a class derived from distillbench.interfaces.FrameSelector",
    "raising-hook": "its hook 'heads' failed: KeyError: 'weights.bin'",
    "no-mapping": "its hook 'heads' returned []; it returns a mapping from name to class",
    "abstract": "the head 'unfinished' leaves abstract: forward",
    "uniform": "the entry point name 'uniform' is taken by distillbench",
}


def test_every_broken_plugin_is_named_with_its_distribution_and_reason(broken, command):
    code, out, _ = command("plugins")
    assert code == 0
    told = {line.split()[0]: line for line in out.partition("not usable")[2].splitlines() if line.strip()}
    assert set(told) == set(REASONS)
    for plugin, reason in REASONS.items():
        assert f"{plugin} (broken-methods 0.3.0): " in told[plugin]
        assert reason in told[plugin]


def test_everything_else_goes_on_working(broken, command, tiny, tmp_path):
    assert "broken-but-fine" in command("plugins")[1], "the rest of a plugin with a taken name is offered"
    code, _, err = command("run", *tiny, "--schedule", "scratch", "--selector", "uniform", "--results", tmp_path)
    assert code == 0, err
    code, out, _ = command("leaderboard", tmp_path, "--format", "csv")
    assert "broken-methods" not in out


def test_check_fails_on_plugins_that_cannot_be_loaded(broken, command):
    code, out, _ = command("check", "raises")
    assert code == 1
    assert "the licence server is down" in out


def test_asking_for_a_plugin_that_failed_says_so(broken, command, tiny, tmp_path):
    code, _, err = command("run", *tiny, "--selector", "raises", "--results", tmp_path)
    assert code == 2
    assert "failed to load: RuntimeError: the licence server is down" in " ".join(err.split())
