"""What does it cost to look at results, and to begin a run? `python benchmarks/speed/fixed_costs.py` writes `fixed_costs.csv`.

Processor seconds of whole commands in processes of their own, imports included, since machines are busy. A board is printed the first time,
from the files, and again, from the index of rows; `import torch` is measured between them, as what every second on this machine is worth. A run
is of one epoch of tiny networks, so that nearly all of it is fixed: imports, making `digits` at its full size, counting, timing, storing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from made_up_results import write_results
from measuring import compared, keep

RUNS = (100, 1000, 10_000)
_SETTLED = 2.5  # seconds after which an index relies on a file's times
BOARD = ["-m", "distillbench", "leaderboard"]
RUN = [
    *("-m", "distillbench", "run", "--data", "digits", "--k", "15", "--epochs", "1", "--again"),
    *("--set", "training.batch_size=1024", "--set", "student.cell_size=8"),
    *("--set", "teacher.cell_size=8"),
]
DIGITS = (
    "from distillbench_plugins.datasets.digits import Digits; import time; "
    "began = time.process_time(); Digits().splits(); print(time.process_time() - began)"
)


def seconds(arguments: list[str]) -> float:
    """Returns the processor seconds of a Python process and of those that it starts."""
    before = os.times()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    spent = (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )
    return float(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", nargs="*", type=int, default=list(RUNS), help="how many results a board has"
    )
    parser.add_argument("--repeats", type=int, default=3, help="medians are of so many")
    asked = parser.parse_args()
    repeats: int = asked.repeats
    rows = []
    with tempfile.TemporaryDirectory() as place:
        os.environ["DISTILLBENCH_CACHE"] = str(Path(place, "cache"))
        for runs in asked.runs:
            folder = Path(place, f"results-{runs}")
            write_results(folder, runs)
            time.sleep(_SETTLED)
            command = [*BOARD, str(folder)]
            first, again, torch = seconds(command), [], []
            for _ in range(repeats):
                again.append(seconds(command))
                torch.append(seconds(["-c", "import torch"]))
            stage = f"board of {runs:,} results, known"
            rows.append(
                compared(
                    stage,
                    "CPU s",
                    statistics.median(again),
                    peer=("the first time", first),
                    limit=("import torch", statistics.median(torch)),
                    runs=repeats,
                )
            )
        made, run, torch = [], [], []
        for _ in range(repeats):
            run.append(seconds([*RUN, "--results", str(Path(place, "run"))]))
            torch.append(seconds(["-c", "import torch"]))
            printed = subprocess.run(
                [sys.executable, "-c", DIGITS], capture_output=True, text=True, check=True
            )
            made.append(float(printed.stdout))
        limit = ("import torch", statistics.median(torch))
        for stage, taken in (("a run of one epoch", run), ("of it making digits", made)):
            rows.append(
                compared(stage, "CPU s", statistics.median(taken), limit=limit, runs=repeats)
            )
    keep(rows, Path(__file__).with_suffix(".csv"))


if __name__ == "__main__":
    main()
