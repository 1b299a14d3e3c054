"""How often the 95 % interval of `distillbench compare` holds the true difference.

    python benchmarks/study/coverage.py --trials 200

Worlds are made up: every video has labels and every method scores it from the same difficulty, its own noise and a shift of
the seed's. What the truth is, two hundred test sets and seeds tell. Each trial draws a test set and a
few seeds, and asks for intervals as `compare` and the leaderboard compute them and, with --resamples, from the metric
computed anew on resampled videos; the last answer is in coverage.csv beside this file.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from distillbench.analysis.intervals import Estimate, Values, bootstrap, difference_error, interval
from distillbench.interfaces import Labels, Predictions
from distillbench.metrics.topk import TopK
from distillbench_plugins.metrics.gap import GlobalAveragePrecision
from distillbench_plugins.metrics.map_at_20 import MeanAveragePrecisionAt20
from resampling import Resampler

METRICS = {"gap": GlobalAveragePrecision(), "map_at_20": MeanAveragePrecisionAt20()}


@dataclass(frozen=True)
class World:
    """How videos, methods and seeds vary. gain: what A knows more than B; seed_spread: how much a seed moves that."""

    classes: int
    videos: int
    seeds: int
    gain: float
    seed_spread: float


WORLDS = (
    World(classes=10, videos=300, seeds=5, gain=0.0, seed_spread=0.1),
    World(classes=10, videos=1000, seeds=5, gain=0.2, seed_spread=0.1),
    World(classes=10, videos=1000, seeds=3, gain=0.2, seed_spread=0.3),
    World(classes=10, videos=1000, seeds=1, gain=0.2, seed_spread=0.0),
    World(classes=200, videos=2000, seeds=3, gain=0.1, seed_spread=0.1),
    World(classes=200, videos=2000, seeds=5, gain=0.1, seed_spread=0.02),
)


def videos(world: World, count: int, generator: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Draws labels (V, C), rare classes included, and what both methods see of a video (V, C)."""
    rates = 3 / world.classes * (1 / np.arange(1, world.classes + 1)) ** 0.7
    labels = generator.random((count, world.classes)) < np.minimum(
        0.6, rates / rates.mean() * 3 / world.classes
    )
    return labels, generator.standard_normal((count, world.classes))


def predict(
    world: World, labels: NDArray, shared: NDArray, knows: float, generator: np.random.Generator
) -> tuple[Predictions, dict[str, float]]:
    own = generator.standard_normal(labels.shape)
    strength = 2.0 + knows + world.seed_spread * generator.standard_normal()
    scores = torch.from_numpy((strength * labels + 0.8 * shared + 0.6 * own).astype(np.float32))
    kept = TopK(world.classes)
    kept.update(scores, torch.from_numpy(labels.astype(np.float32)))
    rows = np.concatenate([[0], labels.sum(1).cumsum()])
    known = Labels(torch.from_numpy(rows), torch.from_numpy(labels.nonzero()[1]), world.classes)
    predictions = kept.predictions([str(number) for number in range(len(labels))], known)
    return predictions, {name: float(m.compute(predictions)) for name, m in METRICS.items()}


def truth(world: World, generator: np.random.Generator) -> dict[str, float]:
    """Averages the difference over many videos and seeds."""
    found: dict[str, list[float]] = {"gap": [], "map_at_20": []}
    for _ in range(200):
        labels, shared = videos(world, 3000, generator)
        a, b = (predict(world, labels, shared, knows, generator)[1] for knows in (world.gain, 0.0))
        for name, values in found.items():
            values.append(a[name] - b[name])
    return {name: float(np.mean(values)) for name, values in found.items()}


def trial(
    world: World, true: dict[str, float], generator: np.random.Generator, count: int
) -> dict[tuple, bool]:
    """Tells, by way and metric, whether one interval holds the truth."""
    labels, shared = videos(world, world.videos, generator)
    rows = np.concatenate([[0], labels.sum(1).cumsum()])
    known = Labels(torch.from_numpy(rows), torch.from_numpy(labels.nonzero()[1]), world.classes)
    sides = [
        {seed: predict(world, labels, shared, knows, generator) for seed in range(world.seeds)}
        for knows in (world.gain, 0.0)
    ]
    held: dict[tuple, bool] = {}
    for name in true:
        values = [
            Values(
                {s: m[name] for s, (_, m) in side.items()},
                {s: METRICS[name].influence(p) for s, (p, _) in side.items()},
            )
            for side in sides
        ]
        draws = int(generator.integers(1 << 31))
        influence = values[0].mean_influence([]) - values[1].mean_influence([])
        found = {
            "compare": bootstrap(*values, 1000, draws),
            "leaderboard": interval(
                values[0].mean([]) - values[1].mean([]), influence, difference_error(*values)
            ),
        }
        if count:
            found["computed anew"] = anew(
                sides, values, name, known, count, np.random.default_rng(draws)
            )
        for way, estimate in found.items():
            held[way, name] = estimate.low <= true[name] <= estimate.high
    return held


def anew(
    sides: list,
    values: list[Values],
    metric: str,
    labels: Labels,
    count: int,
    generator: np.random.Generator,
) -> Estimate:
    """Computes the metric itself on resampled videos, centred, and adds the same error of the seeds."""
    videos = len(sides[0][0][0].ids)
    weights = np.stack(
        [np.bincount(generator.integers(0, videos, videos), minlength=videos) for _ in range(count)]
    )
    means = [
        np.mean([getattr(Resampler(p, labels), metric)(weights) for p, _ in side.values()], axis=0)
        for side in sides
    ]
    replicates, error = means[0] - means[1], difference_error(*values)
    deviations = (replicates - replicates.mean()) / np.sqrt(count - 1)
    scale = np.sqrt(error.of_videos(deviations) / (deviations**2).sum())
    difference = values[0].mean([]) - values[1].mean([])
    moved = difference + (replicates - replicates.mean()) * scale + error.draw(count, generator)
    return Estimate(difference, *np.percentile(moved, [2.5, 97.5]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for number, world in enumerate(WORLDS):
        began = time.perf_counter()
        generator = np.random.default_rng([7, number])
        true = truth(world, generator)
        trials = [trial(world, true, generator, asked.resamples) for _ in range(asked.trials)]
        for way, metric in trials[0]:
            coverage = float(np.mean([held[way, metric] for held in trials]))
            rows.append(
                {
                    **vars(world),
                    "way": way,
                    "metric": metric,
                    "true": true[metric],
                    "coverage": coverage,
                }
            )
            print(f"{world} {way} {metric}: {coverage:.3f}")
        print(f"{time.perf_counter() - began:.0f} s")
    with asked.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0], "trials"], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "trials": asked.trials} for row in rows)


if __name__ == "__main__":
    main()
