"""Chooses the settings of every method of the zoo by the same number of trials, and writes them down.

    python benchmarks/study/zoo_trials.py --results results/zoo-trials --workers 2

Reads zoo_arms.toml, trains one student a trial on a seed that the zoo does not use, and keeps what is best on validation
videos: zoo.toml beside this file, and every trial in benchmarks/results/zoo/trials.csv. It can be stopped and goes on where
it was: runs that are stored are not made again, and neither are trials of the table, unless --again.

A weight is searched on a grid of powers of ten: 1 and 10 first, then further out while the edge is best, else between the best
and its better neighbor. Ties are the smaller weight's.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import re
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import distillbench
from distillbench.toml_files import flat

HERE = Path(__file__).parent
TRIALS = 4
SEED = 100
WEIGHT = re.compile(r"\{w(?:/(\d+))?\}")


@dataclass
class Arm:
    """A method and what it may try. tried: the quality on validation videos by value."""

    name: str
    settings: dict[str, Any]
    for_all: bool = False
    like: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    varied: str = ""
    values: tuple[float, ...] = ()
    tried: dict[float, float] = field(default_factory=dict)

    @property
    def searches_weight(self) -> bool:
        """Whether its trials are weights of what is matched."""
        return self.varied == "w"

    def due(self) -> list[float]:
        """Returns the values to try next; none when all trials are made."""
        if not self.searches_weight:
            return [value for value in self.values if value not in self.tried]
        if len(self.tried) >= TRIALS:
            return []
        return [next_weight(self.tried)] if self.tried else [1.0, 10.0]

    def chosen(self) -> dict[str, float]:
        """Returns what was best, by the name of what is varied."""
        if not self.tried:
            return {}
        if max(self.tried.values()) == -math.inf:
            raise SystemExit(f"{self.name}: no trial has a result, so nothing can be chosen")
        return {self.varied: best(self.tried)}


def best(tried: Mapping[float, float]) -> float:
    return max(sorted(tried), key=lambda value: tried[value])


def next_weight(tried: Mapping[float, float]) -> float:
    """Returns the next weight: further out while the edge is best, else between two of the best."""
    weights = sorted(tried)
    top = best(tried)
    if top == weights[-1]:
        return top * 10
    if top == weights[0]:
        return top / 10
    place = weights.index(top)
    neighbor = max(weights[place - 1], weights[place + 1], key=lambda value: tried[value])
    return float(f"{math.sqrt(top * neighbor):.0e}")


def read_arms(path: Path) -> tuple[dict[str, Any], dict[str, Any], list[Arm]]:
    """Returns the settings that all trials share, those that the board has instead, and the arms."""
    stored = tomllib.loads(path.read_text(encoding="utf-8"))
    arms = []
    for entry in stored["arm"]:
        name, for_all = entry.pop("name"), entry.pop("for_all", False)
        like, without = (tuple(entry.pop(each, [])) for each in ("like", "without"))
        trials = dict(flat(entry.pop("trials", {})))
        settings = dict(flat(entry))
        varied, values = next(iter(trials.items()), ("", []))
        if values and len(values) != TRIALS:
            raise SystemExit(f"{path}: {name} has {len(values)} trials, every arm has {TRIALS}")
        if not values and not like and WEIGHT.search(settings["loss"]):
            varied = "w"
        arms.append(Arm(name, settings, for_all, like, without, varied, tuple(values)))
    return dict(flat(stored["usual"])), dict(flat(stored["board"])), arms


def setup(usual: Mapping[str, Any], arm: Arm, chosen: Mapping[str, float]) -> dict[str, Any]:
    """Returns the settings of one run: what all share, the arm's own, and what was chosen."""
    settings = {**usual, **arm.settings, **{k: v for k, v in chosen.items() if k != "w"}}
    if "w" in chosen:
        settings["loss"] = WEIGHT.sub(
            lambda found: f"{chosen['w'] / float(found[1] or 1):g}", settings["loss"]
        )
    return settings


def toml(settings: Mapping[str, Any]) -> str:
    return "\n".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())


def inherited(arm: Arm, arms: list[Arm]) -> dict[str, float]:
    """Returns what the arm takes over from those whose choice is for all, and those it is like."""
    taken: dict[str, float] = {}
    for other in arms:
        if other.for_all or other.name in arm.like:
            taken |= other.chosen()
    return {name: value for name, value in taken.items() if name not in arm.without}


def settled(shared: Mapping[str, Any], arm: Arm, arms: list[Arm]) -> dict[str, Any]:
    """Returns the settings of one run with all that was chosen for the arm."""
    return setup(shared, arm, {**inherited(arm, arms), **arm.chosen()})


def search(
    usual: dict[str, Any], arms: list[Arm], among: list[Arm], how: Mapping[str, Any]
) -> None:
    """Makes rounds of trials until none of these arms has any left."""
    while due := [(arm, value) for arm in among for value in arm.due()]:
        grids = [
            setup(usual, arm, {**inherited(arm, arms), arm.varied: value}) for arm, value in due
        ]
        for (arm, value), run in zip(due, sweep(grids, how), strict=True):
            if isinstance(run, distillbench.Failure):
                print(f"{arm.name}, {arm.varied} = {value:g} has no result: {run.reason}")
            arm.tried[value] = -math.inf if isinstance(run, distillbench.Failure) else quality(run)


def sweep(grids: list[dict[str, Any]], how: Mapping[str, Any]) -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        question = Path(folder) / "trials.toml"
        lines = [f"seed = {SEED}", *(f"\n[[grid]]\n{toml(grid)}" for grid in grids)]
        question.write_text("\n".join(lines), encoding="utf-8")
        return distillbench.sweep(question, **how)


def quality(run: Any) -> float:
    """Returns the validation GAP of the epoch whose weights were kept."""
    history, network = run.result["history"], run.result["network"]
    epochs = {
        row["epoch"]: row["networks"][network]
        for row in history
        if row["phase"] == history[-1]["phase"]
    }
    return float(epochs[epochs[max(epochs)]["best"]]["validation"]["gap"])


def fill(arms: list[Arm], table: Path) -> None:
    """Puts the stored trials back into the arms; those of another setting than now are left out."""
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            arm = next(arm for arm in arms if arm.name == row["method"])
            varied = "w" if row["varied"] == "weight" else f"set.{row['varied']}"
            if varied == arm.varied:
                arm.tried[float(row["value"])] = float(row["validation_gap"])


def write(usual: dict[str, Any], arms: list[Arm], out: Path, table: Path) -> None:
    """Writes the question of the zoo, and the trials."""
    grids = []
    for arm in arms:
        settings = settled(usual, arm, arms)
        own = {name: value for name, value in settings.items() if usual.get(name) != value}
        grids.append(f"# {arm.name}\n[[grid]]\n{toml(own)}\n")
    head = "# Every method at one k. Written by zoo_trials.py from zoo_arms.toml.\n"
    head += "#   distillbench sweep benchmarks/study/zoo.toml --results results/zoo\n"
    head += "#   distillbench report zoo --results results/zoo\n"
    out.write_text(f'{head}{toml(usual)}\nseed = "0:3"\n\n' + "\n".join(grids), encoding="utf-8")
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["method", "varied", "value", "validation_gap", "chosen"])
        for arm in arms:
            for value, found in sorted(arm.tried.items()):
                varied = "weight" if arm.searches_weight else arm.varied.removeprefix("set.")
                rows.writerow(
                    [arm.name, varied, f"{value:g}", f"{found:.4f}", value == best(arm.tried)]
                )


def main() -> None:
    """Runs the trials and writes what they chose."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arms", type=Path, default=HERE / "zoo_arms.toml")
    parser.add_argument("--results", type=Path, default=Path("results/zoo-trials"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="trials of the table too")
    parser.add_argument("--out", type=Path, default=HERE / "zoo.toml")
    parser.add_argument("--table", type=Path, default=HERE.parent / "results/zoo/trials.csv")
    given = parser.parse_args()
    usual, board, arms = read_arms(given.arms)
    if given.table.is_file() and not given.again:
        fill(arms, given.table)
    how = {"results": given.results, "workers": given.workers}
    for arm in arms:
        if arm.for_all:
            search(usual, arms, [arm], how)
    search(usual, arms, arms, how)
    write({**usual, **board}, arms, given.out, given.table)


if __name__ == "__main__":
    main()
