"""A third party's plugins, really built and installed with pip, run; broken and loud ones make nothing else suffer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A folder into which pip has built and installed the third party's project and the broken one."""
    folder = tmp_path_factory.mktemp("third-party")
    for name in ("methods", "broken", "loud"):
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-build-isolation",
            "--no-deps",
        ]
        done = subprocess.run(
            [*pip, "--target", str(folder / name), str(HERE / name)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def methods(target, monkeypatch):
    monkeypatch.syspath_prepend(str(target / "methods"))


@pytest.fixture
def loud(target, monkeypatch):
    monkeypatch.syspath_prepend(str(target / "loud"))


@pytest.fixture
def own_format(tmp_path):
    """A folder in a format that `own-format` alone reads."""
    for name in ("train", "validation", "test"):
        rows = [
            {"id": f"{name}{video}", "class": video % 3, "frames": [[video + 1, 1]] * (video + 2)}
            for video in range(6)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def broken(target, monkeypatch):
    monkeypatch.syspath_prepend(str(target / "broken"))


def test_a_run_with_four_strange_parts_ends_on_the_leaderboard_with_their_distribution(
    methods, command, tiny, tmp_path
):
    flags = [
        "--selector",
        "changes",
        "--student",
        "attention",
        "--loss",
        "ce,bridge:0.1",
        "--schedule",
        "halves",
    ]
    sizes = [word if word != "student.cell_size=8" else "student.size=4" for word in tiny]
    code, _, err = command(
        "run", *sizes, *flags, "--set", "selector.stride=3", "--results", tmp_path
    )
    assert code == 0, err
    code, out, _ = command("leaderboard", tmp_path, "--format", "csv")
    assert code == 0
    assert all(
        word in out
        for word in ("attention", "changes", "halves", "bridge", "third-party-methods 2.1.0")
    )


def test_they_are_listed_with_their_distribution_and_described(methods, command):
    out = command("plugins")[1]
    assert out.count("third-party-methods 2.1.0") == 4
    assert "the distance of two frames that are looked at" in command("plugins", "changes")[1]


def test_they_keep_the_contract(methods, command):
    code, out, _ = command("check", "--from", "third-party-methods")
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
    told = {
        line.split()[0]: line
        for line in out.partition("not usable")[2].splitlines()
        if line.strip()
    }
    assert set(told) == set(REASONS)
    for plugin, reason in REASONS.items():
        assert f"{plugin} (broken-methods 0.3.0): " in told[plugin]
        assert reason in told[plugin]


def test_everything_else_goes_on_working(broken, command, tiny, tmp_path):
    assert "broken-but-fine" in command("plugins")[1], (
        "the rest of a plugin with a taken name is offered"
    )
    code, _, err = command(
        "run", *tiny, "--schedule", "scratch", "--selector", "uniform", "--results", tmp_path
    )
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


def in_a_process(target, *arguments, cwd=None):
    """Runs the command line in a process of its own, with loud-methods installed."""
    path = os.pathsep.join([str(target / "loud"), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-m", "distillbench", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


def test_what_a_plugin_prints_is_on_stderr_and_the_answer_alone_on_stdout(target, tiny, tmp_path):
    flags = [
        "--schedule",
        "scratch",
        "--selector",
        "loud",
        "--observe",
        "loud",
        "--results",
        tmp_path,
    ]
    ran = in_a_process(target, "run", *tiny, *flags)
    assert ran.returncode == 0, ran.stderr
    assert "NOISE" not in ran.stdout
    for where in ("import", "hook", "init", "metrics", "metric", "observer"):
        for way in ("print", "kept", "descriptor", "library"):
            assert f"NOISE {way} {where}" in ran.stderr
    board = in_a_process(target, "leaderboard", tmp_path, "--format", "json")
    (row,) = json.loads(board.stdout)
    assert row["volume"] == 11
    listed = in_a_process(target, "plugins")
    assert "NOISE" not in listed.stdout
    assert "NOISE print hook" in listed.stderr
    assert "loud-methods 1.0" in listed.stdout


def test_what_a_plugin_prints_is_not_among_the_verdicts(target):
    checked = in_a_process(target, "check", "loud")
    ways = ("print", "kept", "descriptor", "library")
    assert not [way for way in ways if f"NOISE {way} init" in checked.stdout]
    assert "received: it printed 'NOISE" in checked.stdout
    assert "1 broken" in checked.stdout


def test_a_data_set_of_its_own_format_is_not_checked_without_a_folder(loud, command):
    code, out, _ = command("check", "own-format")
    assert code == 0, out
    said = " ".join(out.split())
    assert (
        "not checked: it reads no shards in YouTube-8M's layout, so this needs --data-dir" in said
    )
    assert "0 broken" in out
    assert "7 not checked" in out


def test_a_data_set_of_its_own_format_is_checked_with_a_folder(loud, command, own_format):
    code, out, _ = command("check", "own-format", "--data-dir", own_format)
    assert code == 0, out
    assert "not checked" not in out
    assert "14 promises kept" in out


def test_a_folder_that_cannot_be_read_breaks_promises(loud, command, tmp_path):
    code, out, _ = command("check", "own-format", "--data-dir", tmp_path)
    assert code == 1
    assert "it raised DataError: there is no" in out
