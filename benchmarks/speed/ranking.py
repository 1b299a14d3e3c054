"""How fast are our ranking metrics against torcheval and torchmetrics? `python benchmarks/speed/ranking.py` writes `ranking.csv`.

The data are as those of YouTube-8M: a long tail of classes, three labels a video, classes without any. Runs of ours lie
between those of the peers, and their median is kept; a peer, which takes minutes, runs once. Peers count a class
without positive as 0; values are compared on that rule, and the benchmark fails where they differ. The limit is one
reading of all scores (their sum). `allowed` is no peer but a budget. A peer that is not installed is named and left out
(`pip install 'distillbench[bench]'`). Peers are given a part of the classes at a time: they hold several copies of what
they rank, and their values of a class depend on that class alone.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distillbench.interfaces import Metric
from distillbench.metrics.average_precision import MeanAveragePrecision, mean_average_precision
from distillbench.metrics.topk import TopK
from distillbench_plugins.metrics.gap import GlobalAveragePrecision
from distillbench_plugins.metrics.hit_at_1 import HitAt1
from distillbench_plugins.metrics.map_at_20 import MeanAveragePrecisionAt20
from distillbench_plugins.metrics.perr import PrecisionAtEqualRecallRate
from measuring import Row, compared, keep

BATCH = 1024
PART = 512  # classes that a peer ranks at a time
LARGE = 1_650_000
RANKED = "GAP@20, mAP@20, Hit@1, PERR"
TARGETS = {
    (RANKED, "torcheval"): 40.0,
    ("exact mAP, two walks", "torcheval"): 12.0,
    ("exact mAP, two walks", "torchmetrics"): 20.0,
}
PEERS = {
    "torcheval": ("torcheval.metrics.functional", "multilabel_auprc"),
    "torchmetrics": ("torchmetrics.functional.classification", "multilabel_average_precision"),
}


def drawn(videos: int, classes: int) -> tuple[Tensor, Tensor]:
    """Returns logits (V, C) float32 and labels (V, C) bool; a class is as frequent as its rank's inverse."""
    torch.manual_seed(0)
    rates = 1.0 / torch.arange(1, classes + 1)
    rates = (rates * (3.0 / rates.sum())).clamp_max(0.5)
    scores, labels = torch.empty(videos, classes), torch.empty(videos, classes, dtype=torch.bool)
    for start in range(0, videos, BATCH):
        part = slice(start, start + BATCH)
        labels[part] = torch.rand(labels[part].shape) < rates
        scores[part] = torch.randn(labels[part].shape) + 3.0 * labels[part] + rates.log()
    return scores, labels


def batches(scores: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields both in batches."""
    for start in range(0, len(scores), BATCH):
        yield scores[start : start + BATCH], labels[start : start + BATCH]


def top_20(scores: Tensor, labels: Tensor) -> TopK:
    """Streams every video through the metrics that read the best 20 of each."""
    kept = TopK(scores.shape[1])
    for batch in batches(scores, labels):
        kept.update(*batch)
    return kept


def ranked(kept: TopK) -> float:
    """Computes the metrics of the best 20; returns the first."""
    predictions = kept.predictions([""] * len(kept))
    metrics: tuple[Metric, ...] = (
        GlobalAveragePrecision(),
        MeanAveragePrecisionAt20(),
        HitAt1(),
        PrecisionAtEqualRecallRate(),
    )
    first, *_ = [metric.compute(predictions) or 0.0 for metric in metrics]
    return first


def exact_held(scores: Tensor, labels: Tensor) -> float:
    """Computes the exact mAP with all scores kept, empty classes counted as 0."""
    found = MeanAveragePrecision(scores.shape[1], memory=scores.nbytes)
    for batch in batches(scores, labels):
        found.update(*batch)
    return float(np.nan_to_num(found.average_precisions()).mean())


def exact_two_walks(scores: Tensor, labels: Tensor) -> float:
    """Computes the exact mAP in bounded memory, in two walks, empty classes counted as 0."""
    present = float(labels.any(0).double().mean())
    return mean_average_precision(lambda: batches(scores, labels), scores.shape[1]) * present


def peers() -> dict[str, Callable[..., Tensor]]:
    """Returns what is installed of the peers, and names the rest."""
    found = {}
    for name, (module, function) in PEERS.items():
        try:
            found[name] = getattr(importlib.import_module(module), function)
        except ImportError:
            print(f"{name} is not installed: left out")
    return found


def of_peer(function: Callable[..., Tensor], scores: Tensor, labels: Tensor) -> float:
    """Computes a peer's mean over classes, empty classes counted as 0."""
    total = 0.0
    for start in range(0, scores.shape[1], PART):
        part = scores[:, start : start + PART].contiguous()
        truth = labels[:, start : start + PART].long()
        total += float(function(part, truth, part.shape[1], average=None).nan_to_num().sum())
    return total / scores.shape[1]


def timed(run: Callable[[], float]) -> tuple[float, float]:
    """Returns seconds and value."""
    start = time.perf_counter()
    value = run()
    return time.perf_counter() - start, value


def against_peers(scores: Tensor, labels: Tensor) -> list[Row]:
    """Returns a row for each of ours against each peer."""
    ours: dict[str, Callable[[], float]] = {
        RANKED: lambda: ranked(top_20(scores, labels)),
        "exact mAP, scores held": lambda: exact_held(scores, labels),
        "exact mAP, two walks": lambda: exact_two_walks(scores, labels),
    }
    seen: dict[str, list[tuple[float, float]]] = {name: [timed(run)] for name, run in ours.items()}
    limit = min(timed(lambda: float(scores.sum()))[0] for _ in range(3))
    theirs: dict[str, float] = {}
    for peer, function in peers().items():
        theirs[peer], value = timed(partial(of_peer, function, scores, labels))
        print(f"{peer}: {theirs[peer]:.1f} s", flush=True)
        for name, run in ours.items():
            seen[name].append(timed(run))
            if name != RANKED and abs(seen[name][0][1] - value) > 1e-6:
                raise SystemExit(f"{name} is {seen[name][0][1]}, {peer} says {value}")
    return [
        compared(
            f"{name}, {len(scores):,} videos",
            "s",
            statistics.median(taken for taken, _ in runs),
            peer=(peer, theirs[peer]) if peer else None,
            limit=("reading the scores", limit),
            target=TARGETS.get((name, peer), float("nan")),
            runs=len(runs),
        )
        for name, runs in seen.items()
        for peer in (theirs or [""])
    ]


def streamed(scores: Tensor, labels: Tensor) -> list[Row]:
    """Streams as many videos as a split of YouTube-8M has: the same again and again, a little higher each time."""
    kept, taken = TopK(scores.shape[1]), 0.0
    while len(kept) < LARGE:
        start = time.perf_counter()
        for batch in batches(scores, labels):
            kept.update(*batch)
        taken += time.perf_counter() - start
        scores.add_(1e-3)  # or every score would tie with those of the passes before
    seconds, _ = timed(lambda: ranked(kept))
    state = sum(tensor.nbytes for tensor in kept.state().values()) / len(kept)
    return [
        compared(
            f"{RANKED}, {len(kept):,} videos",
            "s",
            taken + seconds,
            peer=("allowed", 30.0),
            target=1.0,
        ),
        compared(
            f"{RANKED}, state of a video", "bytes", state, peer=("allowed", 160.0), target=1.0
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=102_400)
    parser.add_argument("--classes", type=int, default=3862)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    scores, labels = drawn(arguments.videos, arguments.classes)
    rows = [*against_peers(scores, labels), *streamed(scores, labels)]
    keep(rows, Path(__file__).with_suffix(".csv"))


if __name__ == "__main__":
    main()
