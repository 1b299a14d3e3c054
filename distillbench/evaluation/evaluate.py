"""Runs a network over a whole split: ranking metrics, and where the time went."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from distillbench.data.batches import View, batches
from distillbench.errors import TrainingError
from distillbench.evaluation.average_precision import MeanAveragePrecision
from distillbench.evaluation.predictions import Predictions
from distillbench.evaluation.ranking import RankingMetrics
from distillbench.evaluation.topk import TopK
from distillbench.interfaces import Videos
from distillbench.networks import Model
from distillbench.processes import SOLO, Processes


@dataclass(frozen=True)
class Evaluation:
    """How a network did on a split.

    frames_read, bytes_read: mean a video, what the selector scanned included. reading, model, metric: seconds of the
    whole split, one after the other; reading is the time that was waited for. Where several processes share the split,
    seconds are this process's own.
    """

    metrics: RankingMetrics
    predictions: Predictions
    frames_read: float
    bytes_read: float
    reading: float
    model: float
    metric: float


def evaluate(
    model: Model,
    videos: Videos,
    view: View,
    batch_size: int,
    device: torch.device,
    *,
    exact: bool = False,
    processes: Processes = SOLO,
) -> Evaluation:
    """Scores every video of a split in order; the network is left in evaluation mode.

    processes: those that share the split, whole batches each, so that every score has the bits that it has in one
        process; each returns what all of them found.
    exact: also compute the untruncated mAP, for which every score is kept, in memory or in a temporary file.

    Raises `TrainingError` where a score is no number.
    """
    model.eval()
    kept = TopK(videos.labels.count)
    whole = MeanAveragePrecision(videos.labels.count) if exact else None
    seconds = {"reading": 0.0, "model": 0.0, "metric": 0.0}
    frames = 0
    own = processes.share(len(videos), batch_size).own
    source = batches(videos, torch.arange(len(videos))[own], batch_size, {"": view}, device=device)
    with torch.inference_mode():
        while True:
            began = time.perf_counter()
            batch = next(source, None)
            seconds["reading"] += time.perf_counter() - began
            if batch is None:
                break
            clips = batch.clips[""]
            frames += int(view.frames_read(videos.lengths[batch.videos], clips.times).sum())
            began = time.perf_counter()
            logits = model(clips.to(device)).logits.cpu()
            seconds["model"] += time.perf_counter() - began
            if not bool(torch.isfinite(logits).all()):
                raise TrainingError(
                    "a score of the network is no finite number; nothing was recorded of this evaluation"
                )
            began = time.perf_counter()
            kept.update(logits, batch.labels)
            if whole is not None:
                whole.update(logits, batch.labels)
            seconds["metric"] += time.perf_counter() - began
    began = time.perf_counter()
    kept = kept.gathered(processes)
    metrics = kept.compute(None if whole is None else whole.compute(processes))
    seconds["metric"] += time.perf_counter() - began
    read = int(processes.sum(torch.tensor(frames))) / len(videos)
    return Evaluation(metrics, kept.predictions(videos.ids), read, read * videos.width, **seconds)
