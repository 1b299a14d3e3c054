"""Runs that never were, for the checks of reports: real rows, invented predictions, no training."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.config.run_spec import described
from distillbench.evaluation.metric_set import (
    MetricSet,
    default_names,
    installed_metrics,
    valid_for,
)
from distillbench.interfaces import (
    Codec,
    Labels,
    Learner,
    Networks,
    NetworkSpec,
    Phase,
    Predictions,
    Term,
    Videos,
)
from distillbench.metrics.topk import TopK
from distillbench.registry.discovery import Registry, discover
from distillbench.reports.runs import StoredRuns
from distillbench.results.store import Result

VIDEOS, CLASSES, EPOCHS = 40, 6, 3
DATA = "toys"

ANY: tuple[Mapping[str, object], ...] = (
    *(
        {"schedule": f"toy-{schedule}", "k": k, "seed": seed}
        for schedule in ("a", "b")
        for k in (6, 10)
        for seed in (0, 1)
    ),
    {"schedule": "toy-a", "k": "all"},
)
"""Two methods that nobody knows, and a network that sees all frames."""

STRANGE = "_$x_{1}^ \\frac |<b>&%#\n[/red]\x1b[31m\u202e\U0001f600\u0301 漢 " + "long " * 30
"""A name that is mathematics, markup, control characters, in no font, and long."""

NOBODY: tuple[Mapping[str, object], ...] = ({"schedule": "nobody-knows-it", "k": 7},)


def runs(rows: Sequence[Mapping[str, object]], data: str = DATA) -> StoredRuns:
    """Makes runs of rows such as `Report.check_rows` has."""
    return StoredRuns(results(rows, data), _Toys)


def results(rows: Sequence[Mapping[str, object]], data: str = DATA) -> list[Result]:
    """Makes the results of such runs, which are in no folder."""
    return [_result(number, row, data) for number, row in enumerate(rows)]


def no_runs() -> StoredRuns:
    """Makes runs of which none is left."""

    class Without(StoredRuns):
        """Has every column and no row."""

        @property
        def rows(self) -> pd.DataFrame:
            """No row."""
            return super().rows.head(0)

    return Without([_result(0, NOBODY[0], DATA)], _Toys)


@dataclass(frozen=True)
class _ToyResult(Result):
    made: Predictions | None = None

    def predictions(self) -> Predictions:
        """Returns the invented predictions."""
        assert self.made is not None
        return self.made


@functools.cache
def _installed() -> Registry:
    """What is installed: runs are judged by the metrics that there are."""
    return discover()


def _judges() -> MetricSet:
    names = default_names("multi-label", _installed())
    return MetricSet(valid_for("multi-label", _installed()).values(), names)


def _result(number: int, row: Mapping[str, object], data: str) -> Result:
    labels = np.random.default_rng(0).random((VIDEOS, CLASSES)) < 0.3
    labels[:, 0] |= ~labels.any(1)
    noise = np.random.default_rng(number + 1).standard_normal(labels.shape)
    scores = torch.from_numpy((labels + noise).astype(np.float32))
    kept = TopK(CLASSES)
    kept.update(scores, torch.from_numpy(labels))
    key = f"toy{number}"
    predictions = kept.predictions([f"video {video}" for video in range(VIDEOS)])
    judges = _judges()
    found = judges.compute(judges.names, predictions)
    quality = {name: 0.5 if value is None else value for name, value in found.items()}
    content = _content(key, row, data) | {"metrics": {**quality, "videos": VIDEOS}}
    path = Path("no-such-folder", f"{key}.json")
    return _ToyResult(path, content, installed_metrics(_installed()), predictions)


def _content(key: str, row: Mapping[str, object], data: str) -> dict[str, Any]:
    network = "teacher" if row.get("k") == "all" else "student"
    k = int(str(row.get("k", 6))) if network == "student" else 12
    videos = int(str(row.get("train_videos", 100)))
    spec = _spec(row, data, network, k)
    spent = {"epochs": EPOCHS, "steps": 10, "examples": EPOCHS * videos, "seconds": 1.0}
    return {
        "id": key,
        "finished": "2030-01-01T00:00:00+00:00",
        "network": network,
        "setup": spec,
        "warnings": [],
        "data": {
            "fingerprints": {"train": "a", "validation": "b", "test": "c"},
            "videos": {"train": videos, "test": VIDEOS},
            "metrics": list(_judges().judged_by),
        },
        "tuned": {"arm": str(row.get("arm", ""))},
        "versions": {},
        "sources": {},
        "files": {"network": "toy.safetensors", "predictions": "toy.safetensors"},
        "machine": {"device": "cpu", "precision": "fp32", "runs_beside": 0},
        "cost": {
            "macs": 1e4 * k,
            "flops": 2e4 * k,
            "published_macs": 9e3 * k,
            "parameters": 500,
            "peak_memory": 1000,
            "frames_read": float(k),
            "bytes_read": 64.0 * k,
            "latency": {
                batch: {"median": 1e-4 * k, "p95": 2e-4 * k, "throughput": 100.0}
                for batch in ("1", "256")
            },
            "evaluation_seconds": {"reading": 0.1, "model": 0.2, "metric": 0.1, "sum": 0.4},
        },
        "budget": {"epoch_chosen_by": "validation", "teacher": spent, "student": spent},
        "history": [
            {
                "phase": phase,
                "epoch": epoch,
                "seconds": 0.5,
                "networks": {
                    network: {
                        "terms": {},
                        "validation": dict.fromkeys(_judges().each_epoch, 0.1 * epoch),
                        "best": 1,
                    }
                    for network in ("teacher", "student")
                },
            }
            for phase in ("first", "second")
            for epoch in range(1, EPOCHS + 1)
        ],
    }


def _spec(row: Mapping[str, object], data: str, network: str, k: int) -> dict[str, Any]:
    selector = str(row.get("selector", "toy-selector"))
    terms = _terms(str(row.get("loss", "toy-loss")))
    spec: dict[str, Any] = {
        **{name: _component(f"toy-{name}") for name in ("teacher", "student", "head")},
        "data": _component(data),
        "schedule": _component(str(row.get("schedule", "toy-schedule"))),
        "selector": _component(selector),
        "train_selector": _component(str(row.get("train_selector", selector))),
        "teacher_selector": _component("toy-selector"),
        "losses": {name: _component(name) for name in terms},
        "networks": {network: described(NetworkSpec(network))},
        "phases": _phases(network, terms),
        "training": {"epochs": EPOCHS},
        "seed": int(str(row.get("seed", 0))),
    } | ({"k": k} if network == "student" else {})
    for name, value in row.items():
        section, dot, knob = name.partition(".")
        if dot and section == "loss":
            loss, _, knob = knob.partition(".")
            spec["losses"].setdefault(loss, _component(loss))["knobs"][knob] = value
        elif dot:
            spec[section].get("knobs", spec[section])[knob] = value
    return spec


def _component(name: str) -> dict[str, Any]:
    return {"name": name, "knobs": {}, "distribution": "toys", "version": "1"}


def _terms(losses: str) -> dict[str, float]:
    """Reads losses as the leaderboard writes them, of the first phase."""
    pairs = [term.partition(":") for term in losses.partition(" > ")[0].split(",")]
    return {name: float(weight or 1) for name, _, weight in pairs}


def _phases(network: str, terms: Mapping[str, float]) -> list[dict[str, Any]]:
    losses = tuple(Term(loss, weight) for loss, weight in terms.items())
    return [described(Phase("first", EPOCHS, {network: Learner(losses)}))]


class _ToyVideos(Videos):
    """Videos that have labels and nothing to see."""

    def __init__(self) -> None:
        self.ids = [f"video {video}" for video in range(VIDEOS)]
        self.lengths = torch.ones(VIDEOS, dtype=torch.int64)
        classes = torch.arange(VIDEOS) % CLASSES
        self.labels = Labels(torch.arange(VIDEOS + 1), classes, CLASSES)
        self.features, self.codec, self.fingerprint = {"toy": 1}, Codec(), "c"
        self.class_names = [STRANGE, *(f"class {number}" for number in range(1, CLASSES))]

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Reads nothing."""
        read = torch.zeros(*frames.shape, 1, dtype=torch.uint8)
        return read if out is None else out.copy_(read)


class _Toys(Networks):
    def __init__(self, _: Result) -> None:
        self.names = ("student", "teacher")
        self.test = _ToyVideos()

    def encode(self, network: str, videos: Tensor) -> NDArray[np.float64]:
        """Returns encodings that depend on the class alone, and a little noise."""
        noise = np.random.default_rng(self.names.index(network)).standard_normal((VIDEOS, 8))
        classes = np.arange(VIDEOS)[:, None] % CLASSES
        encoded: NDArray[np.float64] = (classes + 0.1 * noise)[videos.numpy()]
        return encoded
