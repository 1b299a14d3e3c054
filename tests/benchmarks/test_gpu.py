"""The benchmark of GPUs runs without one: at the size of a test, and at no size."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "speed" / "gpu.py"


def run(*arguments: object, first: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the benchmark in a process of its own, after some lines of Python."""
    lines = (
        "import sys",
        f"sys.path.insert(0, {str(SCRIPT.parent)!r})",
        "import gpu, torch",
        first,
        f"sys.exit(gpu.main({[str(each) for each in arguments]!r}))",
    )
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_every_stage_runs_at_the_size_of_a_test(tmp_path: Path) -> None:
    done = run("--device", "cpu", "--tiny", "--csv", tmp_path / "gpu.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"cpu, torch {torch.__version__}\n")
    with (tmp_path / "gpu.csv").open(newline="") as file:
        rows = {row["stage"]: row for row in csv.DictReader(file)}
    assert all(float(row["ours"]) > 0 for row in rows.values())
    assert {row["device"] for row in rows.values()} == {"cpu"}
    for stage in (
        "torch.mm, a square of 16, fp32",
        "LSTM training fp32, 20 frames in blocks of 20",
        "frames to the device, 6 of a video",
        "step of a teacher of 20, fp32",
        "step of a student of 10, fp32, teacher cached",
        "evaluation of a student of 6, fp32",
    ):
        assert stage in rows
        assert stage in done.stdout


def test_without_a_gpu_it_says_so_and_measures_nothing(tmp_path: Path) -> None:
    hidden = "torch.cuda.is_available = lambda: False"
    done = run("--csv", tmp_path / "gpu.csv", first=hidden)
    assert done.returncode == 2
    assert done.stderr == "no GPU that torch can use was found, and this measures one\n"
    assert not list(tmp_path.iterdir())


BROKEN = """
def broken(bench):
    raise torch.OutOfMemoryError("no memory is left\\nand a long story")

def late(bench):
    gpu.time.perf_counter = lambda: float("inf")
    return gpu.multiplying(bench)

def stages(bench):
    for stage in (gpu.multiplying, broken, late, gpu.loading):
        yield stage.__name__, lambda stage=stage: stage(bench)

gpu.stages = stages
"""


def test_what_fails_or_comes_too_late_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    done = run("--device", "cpu", "--tiny", "--csv", tmp_path / "gpu.csv", first=BROKEN)
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("missing: ")] == [
        "missing: broken: OutOfMemoryError: no memory is left",
        "missing: loading: 9 minutes were over",
    ]
    with (tmp_path / "gpu.csv").open(newline="") as file:
        stages = [row["stage"] for row in csv.DictReader(file)]
    assert stages.count("torch.mm, a square of 16, fp32") == 2
    assert all(stage.startswith("torch.mm") for stage in stages)
