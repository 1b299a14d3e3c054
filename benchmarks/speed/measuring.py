"""What every speed benchmark shares: interleaved runs, medians, and the one table they are printed and kept in."""

from __future__ import annotations

import csv
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Row:
    """One stage against one peer.

    unit: of ours, peer and limit. ratio: how many times better ours is than the peer's; target: what it is to reach.
    limit: the best that this machine could do, and what was measured to say so. runs: how many the medians are of.
    load: the machine's load average (one minute) at the end; above the threads used, the cores were shared.
    device: the name of the GPU; empty for the processor.
    """

    stage: str
    unit: str
    ours: float
    peer_name: str = ""
    peer: float = float("nan")
    ratio: float = float("nan")
    target: float = float("nan")
    limit_name: str = ""
    limit: float = float("nan")
    fraction: float = float("nan")
    runs: int = 1
    threads: int = 0
    load: float = 0.0
    device: str = ""


def compared(
    stage: str,
    unit: str,
    ours: float,
    *,
    peer: tuple[str, float] | None = None,
    limit: tuple[str, float] | None = None,
    target: float = float("nan"),
    runs: int = 1,
    device: str = "",
) -> Row:
    """Makes a row; a unit that ends in `/s` is better when higher, any other when lower."""

    def times(other: float) -> float:
        return ours / other if unit.endswith("/s") else other / ours

    name, value = peer or ("", float("nan"))
    what, best = limit or ("", float("nan"))
    threads, load = torch.get_num_threads(), round(os.getloadavg()[0], 1)
    return Row(
        stage,
        unit,
        ours,
        name,
        value,
        times(value),
        target,
        what,
        best,
        times(best),
        runs,
        threads,
        load,
        device,
    )


def interleaved(
    runs: Mapping[str, Callable[[], object]],
    repeats: int,
    warm_up: int = 1,
    rehearsals: int = 0,
    rest: float = 0.0,
) -> dict[str, float]:
    """Runs everything in turn, again and again; returns the median seconds of each.

    A virtual machine may take many times as long to read memory that it has not touched for a
    second, and not only the first time. So what reads memory says which it means.

    rehearsals: how often each run is made, unmeasured, right before it is measured.
    rest: seconds in which nothing is done before that.
    """
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + warm_up):
        for name, run in runs.items():
            time.sleep(rest)
            for _ in range(rehearsals):
                run()
            began = time.perf_counter()
            run()
            if repeat >= warm_up:
                taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(seen) for name, seen in taken.items()}


def keep(rows: Sequence[Row], path: Path) -> None:
    """Writes the rows as CSV and prints them."""
    write(rows, path)
    show(rows)


def write(rows: Sequence[Row], path: Path) -> None:
    """Writes the rows as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(Row)])
        writer.writeheader()
        writer.writerows(
            {name: _shown(value) for name, value in asdict(row).items()} for row in rows
        )


def read(path: Path) -> list[Row]:
    """Reads the rows of a CSV that `keep` wrote."""
    with path.open(newline="") as file:
        return [
            # The last columns came later: a file from before has none of them.
            Row(**{each.name: _parsed(each.type, line.get(each.name, "")) for each in fields(Row)})
            for line in csv.DictReader(file)
        ]


def _parsed(kind: object, text: str) -> Any:
    if kind == "str":
        return text
    return int(text) if kind == "int" else float(text or "nan")


def show(rows: Sequence[Row]) -> None:
    """Prints the table: stage, ours, peer, ratio, limit, fraction of the limit."""
    heads = ("stage", "ours", "peer", "ratio", "target", "limit", "fraction")
    lines = [heads, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        print(
            "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        )


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.stage,
        f"{_shown(row.ours)} {row.unit}",
        f"{_shown(row.peer)} {row.peer_name}" if row.peer_name else "",
        _shown(row.ratio),
        _shown(row.target),
        f"{_shown(row.limit)} {row.limit_name}" if row.limit_name else "",
        _shown(row.fraction),
    )


def _shown(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return (
        ""
        if value != value
        else f"{value:,.0f}".replace(",", "")
        if abs(value) >= 1000
        else f"{value:.3g}"
    )
