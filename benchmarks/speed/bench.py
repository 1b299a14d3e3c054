"""Every speed benchmark, one after the other, and one table at the end: `make bench`, or `python benchmarks/speed/bench.py`.

Each runs in a process of its own, so that none warms up or bloats another. Close everything else first: every row keeps
the load average it was measured under. With names of benchmarks, only those are run; the rest is read from the last run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from measuring import read, show

FOLDER = Path(__file__).parent
BENCHMARKS = (
    "reading",
    "npy_reading",
    "feature_formats",
    "lstm",
    "output_cache",
    "inference",
    "ranking",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", default=list(BENCHMARKS), help=f"of {', '.join(BENCHMARKS)}"
    )
    failed = []
    began = time.perf_counter()
    for name in parser.parse_args().names:
        start = time.perf_counter()
        print(f"{name} ...", flush=True)
        done = subprocess.run(
            [sys.executable, FOLDER / f"{name}.py"], stdout=subprocess.DEVNULL, check=False
        )
        failed += [name] if done.returncode else []
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    print(f"{time.perf_counter() - began:.0f} s in all\n")
    show(
        [
            row
            for name in BENCHMARKS
            if (FOLDER / f"{name}.csv").exists()
            for row in read(FOLDER / f"{name}.csv")
        ]
    )
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
