"""What a teacher and its student make of the same test videos, laid out in two dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.data.batches import View, batches
from distillbench.errors import ConfigError
from distillbench.interfaces import Videos
from distillbench.registry import discover
from distillbench.results.rebuild import Rebuilt, rebuild
from distillbench.results.report import OBJECTIVES, Runs, records

_CLASSES, _VIDEOS_A_CLASS = 5, 60


@dataclass(frozen=True)
class Embedding:
    """N videos in two dimensions, twice. teacher, student: (N, 2). classes: (N,) numbers in `names`. title: of which run."""

    teacher: NDArray[np.float64]
    student: NDArray[np.float64]
    classes: NDArray[np.int64]
    names: tuple[str, ...]
    title: str


def of_best(runs: Runs) -> Embedding:
    """Embeds the serial run with the most frames and losses: encodings are computed again from stored weights.

    Five classes with the most test videos that have one of them alone; one joint t-SNE of teacher and student (paper,
    Figure 3). Raises `ConfigError` where there is no serial run.
    """
    serial = [row for row in records(runs.plain()) if row["schedule"] == "serial" and row["objective"] in OBJECTIVES]
    if not serial:
        raise ConfigError(["Figure 3 needs a run of serial; distillbench sweep figure3 asks it"])
    row = max(serial, key=lambda r: (int(r["k"]), len(str(r["objective"])), -int(r["seed"])))
    rebuilt = rebuild(row["result"], discover())
    if "teacher" not in rebuilt.networks:
        raise ConfigError(
            [f"run {row['run']}: its teacher is not in the folder of results any more; run it with --retrain"]
        )
    test = rebuilt.parts.splits.test
    which, classes, names = _chosen(test)
    both = _encoded(rebuilt, test, which)
    placed = _tsne(np.concatenate(both))
    title = f"{row['objective']}, k = {row['k']}, seed {row['seed']}"
    return Embedding(placed[: len(which)], placed[len(which) :], classes, names, title)


def _chosen(videos: Videos) -> tuple[Tensor, NDArray[np.int64], tuple[str, ...]]:
    """Chooses videos that have one of five classes and none of the other four."""
    dense = videos.labels.dense(torch.arange(len(videos)))
    favourite = dense.sum(0).topk(min(_CLASSES, dense.shape[1])).indices
    of = dense[:, favourite]
    alone = of.sum(1) == 1
    which, classes = [], []
    for number in range(len(favourite)):
        found = torch.nonzero(alone & (of[:, number] == 1))[:_VIDEOS_A_CLASS, 0]
        which.append(found)
        classes += [number] * len(found)
    names = tuple(str(videos.class_names[int(c)]) if videos.class_names else f"class {int(c)}" for c in favourite)
    return torch.cat(which), np.array(classes, dtype=np.int64), names


def _encoded(rebuilt: Rebuilt, videos: Videos, which: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    parts = rebuilt.parts
    kept: dict[str, list[Tensor]] = {"teacher": [], "student": []}
    views: dict[str, View] = {name: parts.evaluation_views[name] for name in parts.models}
    with torch.no_grad():
        for batch in batches(videos, which, parts.setup.training.batch_size, views, device=parts.device):
            for network, model in parts.models.items():
                kept[network].append(model(batch.clips[network].to(parts.device)).encoding.summary.cpu())
    teacher, student = (torch.cat(kept[name]).double().numpy() for name in ("teacher", "student"))
    if teacher.shape[1] != student.shape[1]:
        raise ConfigError(["a joint t-SNE needs encodings of equal width; the teacher's and the student's differ"])
    return teacher, student


def _tsne(points: NDArray[np.float64]) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE

    perplexity = min(30.0, max(2.0, (len(points) - 1) / 4))
    placed: NDArray[np.float64] = TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(points)
    return placed
