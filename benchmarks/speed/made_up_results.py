"""Folders of results that never were, as large as a board may become."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from distillbench.metrics import predictions as stored
from distillbench.metrics.topk import TopK
from distillbench.results import store
from distillbench.storage import save_tensors
from distillbench.testing import toy_runs

VIDEOS, CLASSES, EPOCHS, DISTINCT = 500, 12, 20, 16


def write_results(folder: Path, runs: int, seeds: int = 1) -> None:
    """Writes so many results, methods of so many seeds each, with predictions of 500 videos."""
    folder.mkdir(parents=True)
    labels = np.random.default_rng(0).random((VIDEOS, CLASSES)) < 0.3
    labels[:, 0] |= ~labels.any(1)
    predictions = [_predictions(labels, number, folder / "draft") for number in range(DISTINCT)]
    (folder / "draft").unlink()
    offsets = np.concatenate([[0], labels.sum(1).cumsum()])
    save_tensors(
        folder / "labels" / "c.safetensors",  # the fingerprint of the runs' test videos
        {"offsets": torch.from_numpy(offsets), "classes": torch.from_numpy(labels.nonzero()[1])},
        {"count": CLASSES},
    )
    rows = [
        {
            "schedule": f"toy-{number // seeds}",
            "k": 4 + number // seeds % 27,
            "seed": number % seeds,
        }
        for number in range(runs)
    ]
    for number, result in enumerate(toy_runs.results(rows)):
        content = dict(result.content)
        content["metrics"] = {**content["metrics"], "videos": VIDEOS}
        content["history"] = [
            {**epoch, "epoch": turn * len(content["history"]) + epoch["epoch"]}
            for turn in range(EPOCHS // toy_runs.EPOCHS)
            for epoch in content["history"]
        ]
        name = f"toy{number}.predictions.safetensors"
        content["files"] = {"network": "none.safetensors", "predictions": name}
        (folder / name).write_bytes(predictions[number % DISTINCT])
        text = json.dumps({"format": store.FORMAT, **content}, indent=1)
        (folder / f"toy{number}.json").write_text(text)


def _predictions(labels: np.typing.NDArray[np.bool_], seed: int, draft: Path) -> bytes:
    noise = np.random.default_rng(seed + 1).standard_normal(labels.shape)
    kept = TopK(CLASSES)
    kept.update((labels + noise).astype(np.float32), labels)
    stored.save(kept.predictions([f"video {number}" for number in range(VIDEOS)]), draft)
    return draft.read_bytes()
