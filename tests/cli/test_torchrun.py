"""`torchrun -m distillbench run`, as a user calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
FP32 = ["--precision", "fp32", "--threads", "1"]


@pytest.fixture
def environment():
    """Makes another process find the same packages as this one."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
    }


@pytest.mark.parametrize("arguments", [["sweep", "--k", "4,6"], ["leaderboard"]])
def test_torchrun_starts_only_run(command, monkeypatch, arguments):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    code, _, err = command(*arguments)
    assert code == 2
    assert (
        f"only distillbench run can be started by torchrun; found distillbench {arguments[0]}"
        in err
    )
    monkeypatch.setenv("RANK", "1")
    assert command(*arguments) == (2, "", "")


@pytest.mark.slow
def test_two_processes_put_the_row_of_one_on_the_leaderboard(command, tiny, environment, tmp_path):
    flags = ["run", *tiny, *FP32, "--results"]
    done = subprocess.run(
        [*TORCHRUN, "-m", "distillbench", *flags, tmp_path / "two"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("GAP@20") == 1
    assert done.stderr.count("evaluating on the test split") == 1
    code, _, err = command(*flags, tmp_path / "one")
    assert code == 0, err
    one, two = (
        json.loads(next((tmp_path / name).glob("*.json")).read_text()) for name in ("one", "two")
    )
    assert two["id"] == one["id"]
    assert two["metrics"] == pytest.approx(one["metrics"], abs=1e-6)
    assert two["machine"]["processes"] == 2
    assert len(list((tmp_path / "two").glob("*.safetensors"))) == 2
    assert not list((tmp_path / "two" / "checkpoints").iterdir())


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="looks for torchrun's children in /proc"
)
@pytest.mark.parametrize("victim", [0, 1])
def test_the_death_of_one_process_ends_the_run_and_keeps_its_checkpoint(
    tiny, environment, tmp_path, victim
):
    long = ["--set", "training.epochs=400", "--schedule", "scratch"]
    arguments = [
        *TORCHRUN,
        "-m",
        "distillbench",
        "run",
        *tiny,
        *FP32,
        *long,
        "--results",
        str(tmp_path),
    ]
    run = subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 120
    while not list((tmp_path / "checkpoints").glob("*.safetensors")):
        assert time.monotonic() < until
        assert run.poll() is None
        time.sleep(0.2)
    workers = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    os.kill(sorted(map(int, workers))[victim], signal.SIGKILL)
    out, err = run.communicate(timeout=60)
    assert run.returncode != 0
    assert "GAP@20" not in out
    assert not list(tmp_path.glob("*.json")), err
    assert list((tmp_path / "checkpoints").glob("*.safetensors"))
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
