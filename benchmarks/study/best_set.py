"""How often the leaderboard's ≈ is denied to a row that is as good as the best. Run `python benchmarks/study/best_set.py`.

Worlds are those of coverage.py, with methods that are all equally good, so that every denial is wrong. Each board draws a test set,
seeds and scores, and asks for the set of rows that may be the best as the leaderboard does. Beside it stands the rule of before: a row
was denied where the 95 % interval of its difference from the best row did not hold 0. The last answer is in best_set.csv beside
this file.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from pathlib import Path

import numpy as np
import torch

from coverage import METRICS, World, predict, videos
from distillbench.analysis.best_set import best_set
from distillbench.analysis.intervals import Values, difference_error, interval

METHODS, SEEDS = (2, 12, 30), (2, 3, 5)


def board(world: World, methods: int, generator: np.random.Generator) -> list[Values]:
    """Draws equally good methods on one test set; a seed shifts each method on its own."""
    labels, shared = videos(world, world.videos, generator)
    rows = []
    for _ in range(methods):
        runs = [predict(world, labels, shared, 0.0, generator) for _ in range(world.seeds)]
        rows.append(
            Values(
                {seed: values["gap"] for seed, (_, values) in enumerate(runs)},
                {seed: METRICS["gap"].influence(p) for seed, (p, _) in enumerate(runs)},
            )
        )
    return rows


def denied_one_by_one(rows: list[Values]) -> bool:
    """Tells whether the interval of some row's difference from the best row does not hold 0."""
    best = max(rows, key=lambda row: row.mean([]))
    for row in rows:
        influence = best.mean_influence([]) - row.mean_influence([])
        found = interval(best.mean([]) - row.mean([]), influence, difference_error(best, row))
        if row is not best and not found.low <= 0.0 <= found.high:
            return True
    return False


def main() -> None:
    """Counts wrong denials and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boards", type=int, default=400)
    parser.add_argument("--videos", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for methods, seeds in itertools.product(METHODS, SEEDS):
        world = World(classes=10, videos=asked.videos, seeds=seeds, gain=0.0, seed_spread=0.2)
        generator = np.random.default_rng([11, methods, seeds])
        wrong = {"corrected": 0, "one by one": 0}
        for _ in range(asked.boards):
            drawn = board(world, methods, generator)
            wrong["corrected"] += not all(best_set(drawn))
            wrong["one by one"] += denied_one_by_one(drawn)
        rows.append(
            {
                "methods": methods,
                "seeds": seeds,
                "boards": asked.boards,
                **{way.replace(" ", "_"): count / asked.boards for way, count in wrong.items()},
            }
        )
        print(rows[-1], flush=True)
    with asked.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
