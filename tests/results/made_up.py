"""Made-up results: real setups, invented predictions, no training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from running import metrics

from distillbench.config.run_spec import RunSpec
from distillbench.interfaces import INTERFACE_VERSION
from distillbench.metrics.topk import TopK
from distillbench.results import store
from distillbench.results.store import Result
from distillbench.storage import save_tensors
from measuring import measured

VIDEOS, CLASSES = 60, 8


def write_result(folder: Path, spec: RunSpec, knows: float = 1.0, train: int = 64) -> Result:
    """Writes the result of a run that never was, and its labels."""
    labels = np.random.default_rng(0).random((VIDEOS, CLASSES)) < 0.3
    labels[:, 0] |= ~labels.any(1)
    own = np.random.default_rng([spec.seed, round(1000 * knows)]).standard_normal(labels.shape)
    kept = TopK(CLASSES)
    kept.update(
        torch.from_numpy((knows * labels + 0.5 * own).astype(np.float32)), torch.from_numpy(labels)
    )
    offsets = torch.from_numpy(np.concatenate([[0], labels.sum(1).cumsum()]))
    save_tensors(
        folder / "labels" / "made-up.safetensors",
        {"offsets": offsets, "classes": torch.from_numpy(labels.nonzero()[1])},
        {"count": CLASSES},
    )
    ids = [f"video {number}" for number in range(VIDEOS)]
    predictions = kept.predictions(ids)
    found = vars(measured(predictions)) | {"map": 0.5}
    content = content_of(spec, train) | {"metrics": found}
    return store.write(folder, content, {"w": torch.zeros(1)}, predictions, metrics())


def content_of(spec: RunSpec, train: int = 64) -> dict[str, Any]:
    """Everything but metrics and the names of files."""
    frames = spec.k if spec.reports == "student" else 12
    networks = {name for phase in spec.phases for name in phase.learners}
    spent = {"epochs": 2, "steps": 8, "examples": 2 * train, "seconds": 1.5}
    history = [
        {
            "phase": phase.name,
            "epoch": epoch + 1,
            "seconds": 0.5,
            "networks": {
                network: {
                    "terms": {"ce": 3.0 - epoch},
                    "validation": {"gap": 0.4 - 0.1 * epoch, "map_at_20": 0.4},
                    "best": 1,
                }
                for network in phase.learners
            },
        }
        for phase in spec.phases
        for epoch in range(phase.epochs)
    ]
    return {
        "id": spec.key,
        "interface": INTERFACE_VERSION,
        "finished": "2030-01-01T00:00:00+00:00",
        "network": spec.reports,
        "setup": spec.describe(),
        "objective": dict(spec.weights),
        "preset": spec.preset,
        "sources": dict(spec.sources),
        "warnings": [],
        "tuned": {"arm": spec.tuned_arm, "trials": spec.tuned_trials},
        "data": {
            "fingerprints": {"train": "t", "validation": "v", "test": "made-up"},
            "videos": {"train": train, "test": VIDEOS},
            "metrics": ["gap", "map_at_20", "map"],
        },
        "versions": {"distillbench": "0"},
        "machine": {"device": "cpu", "precision": "fp32", "runs_beside": 0},
        "cost": {
            "macs": 1000 * frames,
            "flops": 2000 * frames,
            "published_macs": 900 * frames,
            "parameters": 10,
            "peak_memory": 10,
            "frames_read": float(frames),
            "bytes_read": 64.0 * frames,
            "latency": {
                b: {"median": 0.001, "p95": 0.0012, "throughput": 1000.0} for b in ("1", "256")
            },
            "evaluation_seconds": {"reading": 0.1, "model": 0.2, "metric": 0.1, "sum": 0.4},
        },
        "fidelity": {"top_1": 0.9, "top_20": 0.8, "kl": 0.1, "cka": 0.7}
        if len(networks) == 2
        else None,
        "budget": {
            "epoch_chosen_by": "validation GAP@20",
            **{
                n: spent if n in networks else dict.fromkeys(spent, 0)
                for n in ("teacher", "student")
            },
        },
        "history": history,
    }
