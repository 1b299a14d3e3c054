"""One of several processes: `python -m distributed.member FOLDER SCENARIO...` leaves what it found in the folder."""

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
            place = folder / name
            place.mkdir(exist_ok=True)
            found[name] = SCENARIOS[name](processes, place)
        torch.save(found, folder / f"found{processes.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
