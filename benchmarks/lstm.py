"""How fast is our LSTM against `nn.LSTM`? Run `python benchmarks/lstm.py`; writes `benchmarks/lstm.csv`.

Every row is one forward and backward pass over the same numbers; runs of all contenders are interleaved and the median
is kept, so that a ratio holds where the machine's speed drifts. The load average (one minute, at the end of a size) is
kept beside it: well above the threads used, the cores were shared and the row says little. Give sizes' names to run
only those.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from distillbench_plugins.layers.lstm import LSTM

SIZES = {  # name: batch, steps, input, cell, layers, repeats
    "paper": (256, 20, 1152, 1024, 2, 3),
    "student": (256, 5, 1152, 1024, 2, 5),
    "small": (256, 20, 64, 64, 2, 25),
    "one-video": (1, 6, 1152, 1024, 2, 25),
}


def contenders(
    batch: int, steps: int, width: int, cell: int, layers: int, precisions: list[str]
) -> dict[str, Callable[[], float]]:
    """Returns what runs one pass, and how long it took, by name."""
    plain = nn.LSTM(width, cell, layers)
    ours = LSTM.from_lstm(plain)
    frames = torch.randn(steps, batch, width)
    packed, sizes = frames.flatten(0, 1), [batch] * steps

    def run_plain() -> Tensor:
        return plain(frames)[0][-1].sum()

    def run_ours() -> Tensor:
        return ours(packed, sizes)[-1].hidden[-batch:].sum()

    passes: dict[str, Callable[[], float]] = {}
    for name, forward in (("nn.LSTM", run_plain), ("ours", run_ours)):
        for precision in precisions:
            passes[f"{name} {precision}"] = lambda f=forward, p=precision: trained(f, p)  # type: ignore[misc]
        passes[f"{name} inference"] = lambda f=forward: inferred(f)  # type: ignore[misc]
    return passes


def trained(forward: Callable[[], Tensor], precision: str) -> float:
    """Times a forward and backward pass."""
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext():
        value = forward()
    value.backward()
    return time.perf_counter() - start


def inferred(forward: Callable[[], Tensor]) -> float:
    """Times a forward pass without gradient."""
    start = time.perf_counter()
    with torch.no_grad():
        forward()
    return time.perf_counter() - start


def measured(name: str, precisions: list[str]) -> list[dict[str, str | float]]:
    """Returns a row for each contender at one size: median seconds, GFLOP/s, and nn.LSTM's time over its own."""
    batch, steps, width, cell, layers, repeats = SIZES[name]
    passes = contenders(batch, steps, width, cell, layers, precisions)
    times: dict[str, list[float]] = {contender: [] for contender in passes}
    for repeat in range(repeats + 1):
        for contender, run in passes.items():
            seconds = run()
            if repeat:
                times[contender].append(seconds)
    medians = {contender: statistics.median(seen) for contender, seen in times.items()}
    macs = batch * steps * sum((below + cell) * 4 * cell for below in (width, *[cell] * (layers - 1)))
    rows: list[dict[str, str | float]] = []
    for contender, seconds in medians.items():
        mode = contender.split()[1]
        flops = macs * (2 if mode == "inference" else 6)
        rows.append(
            {
                "size": name,
                "contender": contender,
                "ms": round(seconds * 1e3, 3),
                "gflops": round(flops / seconds / 1e9, 1),
                "times faster than nn.LSTM": round(medians[f"nn.LSTM {mode}"] / seconds, 2),
                "threads": torch.get_num_threads(),
                "load": round(os.getloadavg()[0], 1),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", default=list(SIZES), help=f"of {', '.join(SIZES)}")
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"], choices=["fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    rows = [row for size in arguments.sizes for row in measured(size, arguments.precision)]
    widths = {key: max(len(key), *(len(str(row[key])) for row in rows)) for key in rows[0]}
    for line in ({key: key for key in widths}, *rows):
        print("  ".join(f"{line[key]:<{widths[key]}}" for key in widths))
    with (Path(__file__).with_suffix(".csv")).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(widths))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
