"""How well each arm of a tuned comparison fits its own training videos, and how sure its teacher is of their labels.

    python benchmarks/study/fit.py results/spoken-digits --out benchmarks/results/spoken-digits/fit.csv

It asks why a teacher helps or does not. A student that is as good on test videos as on training videos does not overfit, and has little to gain from
softer labels. A teacher that is sure of every training label says little that the labels do not say. Both see in training what they see in tests: a
teacher all frames, a student its own.

Columns: arm; seeds; gap_train and gap_test, mean GAP@20; label_probability, the mean probability that the network gives a label which a training
video has; gap_on_student_frames, of teachers: the test videos' when it sees only the frames that students see.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor

from distillbench.analysis.loading import load
from distillbench.data.batches import Measured
from distillbench.evaluation.scores import logits_of, probabilities
from distillbench.experiments.restore import restore
from distillbench.interfaces import LabelKind, Videos
from distillbench.metrics.topk import TopK
from distillbench.registry.discovery import discover
from distillbench.results.store import Result
from distillbench.training.build import Experiment
from distillbench_plugins.metrics.gap import GlobalAveragePrecision

COLUMNS = ("arm", "seeds", "gap_train", "gap_test", "label_probability", "gap_on_student_frames")
CPU = torch.device("cpu")


def own_view(experiment: Experiment) -> Measured:
    """Returns what the network of a run sees of a video when it is judged."""
    return experiment.evaluation_views[experiment.spec.reports]


def logits(experiment: Experiment, videos: Videos, view: Measured) -> Tensor:
    """Computes what the network of a run says of videos (V, C), of each of which it sees what the view chooses."""
    model, size = experiment.models[experiment.spec.reports], experiment.spec.training.batch_size
    return torch.cat([each for _, each in logits_of(model, videos, view, size, CPU)])


def gap(said: Tensor, videos: Videos) -> float:
    """Computes GAP@20 of logits (V, C)."""
    kept = TopK(videos.labels.count)
    kept.update(said, videos.labels.dense(torch.arange(len(videos))))
    return GlobalAveragePrecision().compute(kept.predictions(videos.ids, videos.labels))


def label_probability(said: Tensor, videos: Videos, kind: LabelKind) -> float:
    """Averages what logits (V, C) give to the labels that the videos have."""
    given = torch.from_numpy(probabilities(said, kind))
    return float(given[videos.labels.dense(torch.arange(len(videos))) > 0].mean())


def measured(results: list[Result]) -> list[dict[str, object]]:
    """Makes a row for each arm, the best on training videos first."""
    registry = discover()
    students = [each for each in results if not is_teacher(each)]
    student_view = own_view(restore(students[0], registry).experiment) if students else None
    found: dict[str, dict[str, list[float]]] = {}
    for result in results:
        arm, experiment = result.content["tuned"]["arm"], restore(result, registry).experiment
        splits, view = experiment.splits, own_view(experiment)
        values = found.setdefault(arm, defaultdict(list))
        said = logits(experiment, splits.train, view)
        values["gap_train"].append(gap(said, splits.train))
        values["gap_test"].append(result.content["metrics"]["gap"])
        values["label_probability"].append(
            label_probability(said, splits.train, experiment.spec.label_kind)
        )
        if is_teacher(result) and student_view is not None:
            values["gap_on_student_frames"].append(
                gap(logits(experiment, splits.test, student_view), splits.test)
            )
        print(arm, *(f"{name} {each[-1]:.4f}" for name, each in values.items()), flush=True)
    rows = [
        {"arm": arm, "seeds": len(values["gap_test"])}
        | {name: f"{sum(each) / len(each):.6f}" for name, each in values.items()}
        for arm, values in found.items()
    ]
    return sorted(rows, key=lambda row: row["gap_train"], reverse=True)


def wanted(result: Result, arms: list[str], k: int | None) -> bool:
    """Tells whether a run is of one of the arms, and of k frames or of all."""
    arm, own = result.content["tuned"]["arm"], result.content["setup"].get("k")
    return (not arms or arm in arms) and (k is None or is_teacher(result) or own == k)


def is_teacher(result: Result) -> bool:
    """Tells whether the network of a run is a teacher, which sees all frames."""
    return result.record.network == "teacher"


def main() -> None:
    """Writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--arm", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--k", type=int, help="only students of so many frames, and teachers")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    results = [
        each for each in load([chosen.results]).results if wanted(each, chosen.arm, chosen.k)
    ]
    rows = measured(results)
    with chosen.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
