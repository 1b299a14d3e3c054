"""How long does it take to plan a sweep of 10,000 runs, and in how much memory? `python benchmarks/speed/planning.py` writes `planning.csv`.

From reading the settings to the plan with its cost, in a fresh process, as `distillbench sweep --dry-run` does: 500 teachers, 2
schedules, 2 selectors, 5 values of k. Processor time, since a plan is made on one core and machines are busy. `allowed` is a budget.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

from measuring import compared, keep

RUNS, SECONDS, MEGABYTES = 10_000, 60.0, 1000.0
_EACH = 20  # runs of a seed


def planned(runs: int) -> tuple[float, float]:
    """Plans so many runs; returns processor seconds, imports included, and the peak memory in MB."""
    from distillbench import api

    request = api.request_sweep(
        settings={
            "data.train": 64,
            "data.validation": 24,
            "data.test": 32,
            "data.frames": 12,
            "teacher.cell_size": 8,
            "student.cell_size": 8,
        },
        k=["3", "4", "5", "6", "8"],
        selector=["uniform", "random"],
        schedule=["serial", "scratch"],
        seed=[str(seed) for seed in range(runs // _EACH)],
        device="cpu",
        results="/nonexistent",
    )
    assert len(request.plan.jobs) == runs
    return time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 * 1.048576


def elsewhere(runs: int) -> tuple[float, float]:
    """Plans so many runs in a process of its own."""
    command = [sys.executable, __file__, "--of", str(runs)]
    seconds, megabytes = subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.split()
    return float(seconds), float(megabytes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--of", type=int, help="plan so many runs in this process, and print")
    runs = parser.parse_args().of
    if runs:
        print(*planned(runs))
        return
    few, many = elsewhere(_EACH), elsewhere(RUNS)
    stage = f"planning a sweep of {RUNS:,} runs".replace(",", " ")
    keep(
        [
            compared(stage, "s", many[0], peer=("allowed", SECONDS), target=1.0),
            compared(f"{stage}, memory", "MB", many[1], peer=("allowed", MEGABYTES), target=1.0),
            compared(f"planning a sweep of {_EACH} runs", "s", few[0]),
            compared(f"planning a sweep of {_EACH} runs, memory", "MB", few[1]),
        ],
        Path(__file__).with_suffix(".csv"),
    )


if __name__ == "__main__":
    main()
