"""Sweeps with real processes; the slow ones kill them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from distillbench.results import failures

Command = Callable[..., tuple[int, str, str]]

GRID = [
    *(
        "--set",
        "data.train=600",
        "--set",
        "data.validation=60",
        "--set",
        "data.test=80",
        "--set",
        "data.frames=24",
    ),
    *(
        "--set",
        "teacher.cell_size=24",
        "--set",
        "student.cell_size=24",
        "--set",
        "training.epochs=6",
    ),
    *(
        "--k",
        "4,6",
        "--schedule",
        "serial,scratch",
        "--seed",
        "0:2",
        "--workers",
        "2",
        "--device",
        "cpu",
    ),
]


def table(folder: Path) -> dict[str, float]:
    """The test GAP of every run."""
    return {
        path.stem: json.loads(path.read_text())["metrics"]["gap"] for path in folder.glob("*.json")
    }


def begin(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "distillbench", "sweep", *GRID, "--results", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in listed if b"spawn_main" in command_of(int(pid))]


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def command_of(pid: int) -> bytes:
    """The words of a process; none of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    return b"\0" in command_of(pid)  # a zombie has none


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds processes in /proc")
def test_a_sweep_whose_worker_and_then_parent_are_killed_ends_with_the_same_table(
    tmp_path: Path,
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert begin(whole).wait(300) == 0

    sweep = begin(broken)
    wait_for(lambda: any((broken / "checkpoints").glob("*.safetensors")))
    victim = workers_of(sweep)[0]
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: any((broken / "failures").glob("*.json")))
    told, _ = failures.load(broken)
    assert all("SIGKILL" in failure.reason for failure in told)

    wait_for(lambda: len(table(broken)) >= 2)
    orphans = workers_of(sweep)
    sweep.kill()
    sweep.wait(30)
    wait_for(lambda: not any(alive(pid) for pid in orphans), 20)
    kept = table(broken)
    assert 2 <= len(kept) < 8

    assert begin(broken).wait(300) == 0
    assert table(broken) == table(whole)
    assert kept.items() <= table(broken).items()
    assert failures.load(broken) == ([], [])
    assert len(list((broken / "teachers").glob("*.safetensors"))) == 2
    assert list((broken / "checkpoints").glob("*.safetensors")) == []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds processes in /proc")
def test_ctrl_c_ends_every_process_and_says_that_the_same_command_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "distillbench", "sweep", *GRID, "--results", str(tmp_path)]
    sweep = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    wait_for(lambda: any((tmp_path / "checkpoints").glob("*.safetensors")))
    workers = workers_of(sweep)
    os.killpg(sweep.pid, signal.SIGINT)
    _, told = sweep.communicate(timeout=60)
    assert sweep.returncode == 130
    assert b"the same command continues" in told
    assert not any(alive(pid) for pid in workers)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds processes in /proc")
def test_two_sweeps_of_one_folder_make_every_run_once_between_them(tmp_path: Path) -> None:
    sweeps = [begin(tmp_path), begin(tmp_path)]
    files: dict[str, int] = {}
    try:
        wait_for(lambda: all(map(workers_of, sweeps)))  # both make runs
        while any(sweep.poll() is None for sweep in sweeps):
            for path in tmp_path.glob("*.json"):
                assert files.setdefault(path.name, path.stat().st_ino) == path.stat().st_ino
            time.sleep(0.05)
    finally:
        for sweep in sweeps:
            sweep.kill()
    assert [sweep.wait() for sweep in sweeps] == [0, 0]
    assert len(table(tmp_path)) == 8


@pytest.mark.slow
def test_a_run_that_fails_is_a_row_and_the_rest_is_answered(
    command: Command, tiny: list[str], tmp_path: Path
) -> None:
    rates = [
        "--learning-rate",
        "0.001,1e30",
        "--schedule",
        "scratch",
        "--workers",
        "1",
        "--device",
        "cpu",
    ]
    code, _, told = command("sweep", *tiny, *rates, "--results", tmp_path)
    assert code == 1
    assert "1 finished, 1 failed" in told
    assert len(table(tmp_path)) == 1
    ((failure,), _) = failures.load(tmp_path)
    assert failure.status == "failed"
    assert "learning_rate" in failure.reason
    code, out, _ = command("leaderboard", tmp_path, "--format", "csv")
    assert code == 0
    assert "failed" in out
