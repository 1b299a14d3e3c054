"""What do encoders cost at their published sizes? Run `python benchmarks/speed/published_encoders.py`; writes published_encoders.csv.

The paper's hierarchical RNN, NetVLAD (arXiv 1706.06905: 256 clusters, 1,024 wide) and NeXtVLAD (arXiv 1811.05014: 128 clusters,
8 groups, 2,048 wide) on shards of YouTube-8M's layout, 1,024 + 128 numbers a frame and 3,862 classes. Each is trained as a teacher
of all frames for a hundred steps, and then as a student of k = 30 that matches the teacher's encoding, L_rep, for a hundred more;
the hierarchical RNN, which stands beside them for its cost, takes eight.
The shards are made up, so the losses only show that training works.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from pathlib import Path
from typing import Any

import distillbench
from distillbench.evaluation.latency import measure
from distillbench.experiments.restore import restore
from distillbench.registry.discovery import discover

EPOCHS = 4
ENCODERS: dict[str, dict[str, int]] = {
    "netvlad": {"clusters": 256, "size": 1024},
    "nextvlad": {"clusters": 128, "groups": 8, "expansion": 2, "size": 2048},
    "hrnn": {"cell_size": 1024},
}
STEPS = {"netvlad": 100, "nextvlad": 100, "hrnn": 8}
COLUMNS = (
    *("encoder", "network", "frames", "parameters", "macs"),
    *("ms_for_one_video", "ms_a_video_in_256", "first_loss", "last_loss", "steps"),
)


def settings(encoder: str, batch: int, longest: int) -> dict[str, Any]:
    training = batch * max(STEPS.values()) // EPOCHS
    knobs = {
        f"{network}.{name}": value
        for network in ("teacher", "student")
        for name, value in ENCODERS[encoder].items()
    }
    return {
        "data.videos": training * 10 // 6,
        "data.fraction": STEPS[encoder] / max(STEPS.values()),
        "data.rgb": 1024,
        "data.audio": 128,
        "data.classes": 3862,
        "data.shortest": longest * 2 // 5,
        "data.longest": longest,
        "data.validation_share": 0.1,
        "data.test_share": 0.3,
        "training.batch_size": batch,
        "training.epochs": EPOCHS,
        "training.learning_rate": 1e-3,
        **knobs,
    }


def trained(encoder: str, network: str, given: argparse.Namespace) -> distillbench.Run:
    """Trains a teacher, or a student of it; a teacher that was trained before is found."""
    student = {"selector": "uniform", "k": 30, "loss": "rep,ce"} if network == "student" else {}
    return distillbench.run(
        data="synthetic",
        teacher=encoder,
        student=encoder,
        schedule="serial" if network == "student" else "teacher",
        settings=settings(encoder, given.batch, given.longest),
        results=given.results,
        **student,
    )


def row(encoder: str, network: str, run: distillbench.Run) -> tuple[Any, ...]:
    """Describes a trained network; its latency is measured now, with nothing beside it."""
    cost, history = run.result["cost"], run.result["history"]
    epochs = [each for each in history if network in each["networks"]]
    losses = [sum(each["networks"][network]["terms"].values()) for each in epochs]
    experiment = restore(run.stored, discover()).experiment
    model, view = experiment.models[network], experiment.evaluation_views[network]
    test, device = experiment.splits.test, experiment.device
    one, many = (measure(model, test, view, device, n, []).median / n for n in (1, 256))
    return (
        *(encoder, network, cost["frames"], cost["parameters"], cost["macs"]),
        *(f"{1e3 * one:.2f}", f"{1e3 * many:.2f}", f"{losses[0]:.2f}", f"{losses[-1]:.2f}"),
        epochs[-1]["steps"],
    )


def main() -> None:
    """Trains all of them and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results/published-encoders"))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--longest", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    given = parser.parse_args()
    pairs = list(itertools.product(ENCODERS, ("teacher", "student")))
    runs = {pair: trained(*pair, given) for pair in pairs}
    rows = [COLUMNS]
    for pair in pairs:
        rows.append(row(*pair, runs[pair]))
        print(*rows[-1], flush=True)
    with given.out.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
