"""Writes a line an epoch and network to RESULTS/logs/RUN.csv, while the run goes on.

Columns: phase, epoch, network, seconds, learning_rate, every loss term (loss.ce), every validation
metric (validation.gap). A run that is made again replaces its lines, one that goes on keeps them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distillbench import hookimpl
from distillbench.interfaces import EpochEnded, RunStarted


def _path(run: RunStarted) -> Path:
    return run.results / "logs" / f"{run.key}.csv"


@hookimpl
def run_started(run: RunStarted) -> None:
    """Makes the folder."""
    _path(run).parent.mkdir(parents=True, exist_ok=True)


@hookimpl
def epoch_ended(run: RunStarted, event: EpochEnded) -> None:
    """Adds the epoch's lines."""
    lines = [_line(event.row, network, found) for network, found in event.row["networks"].items()]
    replaced = {_key(line) for line in lines}
    kept = [line for line in _read(_path(run)) if _key(line) not in replaced] + lines
    # A later phase may have other terms.
    columns = list(dict.fromkeys(column for line in kept for column in line))
    with _path(run).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(kept)


def _line(row: Mapping[str, Any], network: str, learnt: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("phase", "epoch")},
        "network": network,
        **{name: row[name] for name in ("seconds", "learning_rate")},
        **{f"loss.{name}": value for name, value in learnt["terms"].items()},
        **{f"validation.{name}": value for name, value in learnt["validation"].items()},
    }


def _key(line: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(line["phase"]), str(line["epoch"]), str(line["network"])


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
