"""What does an executor cost a run? `python benchmarks/speed/executors.py` writes `executors.csv`.

Runs that do nothing, one at a time, on `local`, on `ray` (a cluster of this machine) and on `slurm` (submitit's processes of this
machine, with no queue before them): seconds until the first one ends, in which its process imports torch, and the median of those
behind it. `slurm` has a process, and so the imports, for every run. The last row is what a process does before its first real
run: processor seconds for importing every plugin. An executor whose library is not there is named and left out.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from distillbench.errors import ConfigError
from distillbench.interfaces import Demand
from distillbench.registry.discovery import discover
from distillbench.testing.executors import ToyJob
from measuring import compared, keep

KNOBS: dict[str, dict[str, object]] = {
    "local": {"workers": 1},
    "ray": {"address": "local", "workers": 1},
    "slurm": {"cluster": "local", "workers": 1},
}
_RUNS = {"local": 200, "ray": 200, "slurm": 5}
_DISCOVERS = (
    "import time; from distillbench.registry.discovery import discover; discover();"
    " print(time.process_time())"
)


def made(executor: Any, runs: int) -> list[float]:
    """Makes runs one after the other; returns the seconds of each, from its submission to its end."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(runs):
            began = time.perf_counter()
            executor.submit(
                ToyJob(
                    f"toy{number}",
                    "toy",
                    "data",
                    1,
                    "cpu",
                    folder,
                    folder,
                    "well",
                    0.0,
                    os.getpid(),
                )
            )
            while executor.running:
                list(executor.events(0.4))
            taken.append(time.perf_counter() - began)
        executor.shutdown()
    return taken


def main() -> None:
    rows = []
    registry = discover()
    for name, knobs in KNOBS.items():
        component = registry.find("executor", name)
        assert component is not None
        executor = component.cls(Demand(1, 1, "cpu"), **knobs)
        try:
            executor.free  # noqa: B018 - begins what has to be
        except ConfigError as error:
            print(error)
            continue
        first, *others = made(executor, _RUNS[name])
        rows += [
            compared(f"{name}: first run", "s", first),
            compared(f"{name}: another", "ms", 1000 * statistics.median(others), runs=len(others)),
        ]
    done = subprocess.run([sys.executable, "-c", _DISCOVERS], capture_output=True, check=True)
    rows.append(compared("importing torch and every plugin", "s", float(done.stdout)))
    keep(rows, Path(__file__).with_suffix(".csv"))


if __name__ == "__main__":
    main()
