"""How fast are our ranking metrics against torcheval and torchmetrics? `python benchmarks/ranking.py` writes `ranking.csv`.

The data are as those of YouTube-8M: a long tail of classes, three labels a video, classes without any. Runs of ours lie
between those of the peers, and their median is kept. Peers count a class without positive as 0; values are compared on
that rule. The limit is one reading of all scores (their sum). A peer that is not installed is named and left out
(`pip install torcheval torchmetrics`). The whole takes about five minutes and 20 GB; `--videos 10240` a tenth.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distillbench.evaluation.average_precision import MeanAveragePrecision, mean_average_precision
from distillbench.evaluation.resampling import Resampler
from distillbench.evaluation.topk import TopK

BATCH = 1024
LARGE, RESAMPLES = 1_650_000, 1000
Row = dict[str, str | float]


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
    for start in range(0, len(scores), BATCH):
        yield scores[start : start + BATCH], labels[start : start + BATCH]


def top_20(scores: Tensor, labels: Tensor) -> float:
    kept = TopK(scores.shape[1])
    for batch in batches(scores, labels):
        kept.update(*batch)
    return kept.compute().gap


def exact_held(scores: Tensor, labels: Tensor) -> float:
    found = MeanAveragePrecision(scores.shape[1], memory=scores.nbytes)
    for batch in batches(scores, labels):
        found.update(*batch)
    return float(np.nan_to_num(found.average_precisions()).mean())


def exact_two_walks(scores: Tensor, labels: Tensor) -> float:
    present = float(labels.any(0).double().mean())
    return mean_average_precision(lambda: batches(scores, labels), scores.shape[1]) * present


def peers() -> dict[str, Callable[[Tensor, Tensor, int], Tensor]]:
    """Returns what is installed of the peers, and names the rest."""
    wanted = {
        "torcheval": ("torcheval.metrics.functional", "multilabel_auprc"),
        "torchmetrics": ("torchmetrics.functional.classification", "multilabel_average_precision"),
    }
    found = {}
    for name, (module, function) in wanted.items():
        try:
            found[name] = getattr(importlib.import_module(module), function)
        except ImportError:
            print(f"{name} is not installed: left out")
    return found


def timed(run: Callable[[], float]) -> tuple[float, float]:
    start = time.perf_counter()
    value = run()
    return time.perf_counter() - start, value


def compared(scores: Tensor, labels: Tensor) -> list[Row]:
    """Returns a row for each of ours against each peer."""
    ours = {
        "GAP@20, mAP@20, Hit@1, PERR": lambda: top_20(scores, labels),
        "exact mAP, scores held": lambda: exact_held(scores, labels),
        "exact mAP, two walks": lambda: exact_two_walks(scores, labels),
    }
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in ours}
    seen_peers: dict[str, tuple[float, float]] = {}
    limit = min(timed(lambda: float(scores.sum()))[0] for _ in range(3))
    rounds: list[tuple[str, Callable[[Tensor, Tensor, int], Tensor]] | None] = [*peers().items(), None]
    for peer in rounds:
        for name, run in ours.items():
            seen[name].append(timed(run))
        if peer:
            truth = labels.long()
            seen_peers[peer[0]] = timed(lambda f=peer[1], t=truth: float(f(scores, t, scores.shape[1])))  # type: ignore[misc]
            print(f"{peer[0]}: {seen_peers[peer[0]][0]:.1f} s", flush=True)
    rows: list[Row] = []
    for name, runs in seen.items():
        seconds, value = statistics.median(taken for taken, _ in runs), runs[0][1]
        for peer_name, (peer_seconds, peer_value) in (seen_peers or {"": (float("nan"), float("nan"))}).items():
            rows.append(row(name, len(scores), seconds, value, limit, peer_name, peer_seconds, peer_value))
    return rows


def row(
    stage: str,
    videos: int,
    seconds: float,
    value: float = float("nan"),
    limit: float = float("nan"),
    peer: str = "",
    peer_seconds: float = float("nan"),
    peer_value: float = float("nan"),
) -> Row:
    return {
        "stage": stage,
        "videos": videos,
        "ours (s)": round(seconds, 2),
        "peer": peer,
        "peer (s)": round(peer_seconds, 2),
        "ratio": round(peer_seconds / seconds, 1),
        "limit (s)": round(limit, 2),
        "fraction of limit": round(limit / seconds, 2),
        "our value": round(value, 9),
        "peer's value": round(peer_value, 9),
    }


def large(scores: Tensor, labels: Tensor) -> Row:
    """Streams as many videos as a split of YouTube-8M has: the same again and again, a little higher each time."""
    kept, taken = TopK(scores.shape[1]), 0.0
    while len(kept) < LARGE:
        start = time.perf_counter()
        for batch in batches(scores, labels):
            kept.update(*batch)
        taken += time.perf_counter() - start
        scores.add_(1e-3)  # or every score would tie with those of the passes before
    seconds, value = timed(lambda: kept.compute().gap)
    return row("GAP@20, mAP@20, Hit@1, PERR", len(kept), taken + seconds, value)


def resampled(scores: Tensor, labels: Tensor) -> Row:
    """Bootstraps GAP@20 over the videos."""
    kept = TopK(scores.shape[1])
    for batch in batches(scores, labels):
        kept.update(*batch)
    videos = len(scores)
    predictions = kept.predictions([str(video) for video in range(videos)])
    random = np.random.default_rng(0)

    def run() -> float:
        resampler = Resampler(predictions)
        drawn = (np.bincount(random.integers(videos, size=videos), minlength=videos) for _ in range(RESAMPLES))
        return float(np.std([resampler.gap(np.stack(list(islice(drawn, 50)))) for _ in range(RESAMPLES // 50)]))

    return row(f"bootstrap of GAP@20, {RESAMPLES} resamples (standard error)", len(scores), *timed(run))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=102_400)
    parser.add_argument("--classes", type=int, default=3862)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    scores, labels = drawn(arguments.videos, arguments.classes)
    rows = [*compared(scores, labels), large(scores, labels), resampled(scores, labels)]
    widths = {key: max(len(key), *(len(str(each[key])) for each in rows)) for key in rows[0]}
    header: Row = {key: key for key in widths}
    for line in (header, *rows):
        print("  ".join(f"{line[key]!s:<{widths[key]}}" for key in widths))
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(widths))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
