"""One of several processes that run scenarios and save the results.

Usage: `python -m distributed.member FOLDER SCENARIO...`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from distillbench.distributed.processes import joined
from distillbench.evaluation import latency


def main(folder: Path, names: list[str]) -> None:
    from distributed.scenarios import CPU, SCENARIOS

    latency._FEWEST, latency._SECONDS = 2, 0.0
    with joined(CPU) as processes:
        found = {}
        for name in names:
            scenario_folder = folder / name
            scenario_folder.mkdir(exist_ok=True)
            found[name] = SCENARIOS[name](processes, scenario_folder)
        torch.save(found, folder / f"found{processes.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
