"""Runs a network over a whole split: metrics, and where the time went."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distillbench.data.batches import Measured, batches
from distillbench.distributed.processes import SINGLE, Processes
from distillbench.errors import DataError, TrainingError
from distillbench.evaluation.all_scores import AllScores
from distillbench.evaluation.metric_set import MetricSet, Warn
from distillbench.interfaces import Clips, Output, Predictions, Videos
from distillbench.metrics.topk import TopK
from distillbench.networks import Model, columns_of, evaluating


@dataclass(frozen=True)
class Evaluation:
    """How a network did on a split.

    metrics: by name; None for one that is not defined or that failed.
    frames_read, bytes_read: mean a video, what the selector scanned included; bytes are those of
        all frames where the data cannot be read by the frame.
    used: (V,) frames that each video took, of a network that may stop early.
    reading, model, metric: seconds of the whole split, one after the other; reading is the time
    that was waited for. Where several processes share the split, seconds are this process's own.
    """

    metrics: Mapping[str, float | None]
    predictions: Predictions
    frames_read: float
    bytes_read: float
    reading: float
    model: float
    metric: float
    used: Tensor | None = None


def evaluate(
    model: Model,
    videos: Videos,
    view: Measured,
    batch_size: int,
    device: torch.device,
    metrics: MetricSet,
    names: Sequence[str],
    *,
    warn: Warn,
    processes: Processes = SINGLE,
) -> Evaluation:
    """Scores every video of a split in order; the network is then in the mode that it was in.

    processes: those that share the split, whole batches each, so that every score has the bits that
        it has in one process; each returns what all of them found.
    names: the metrics that are computed; where some need every score, all are kept, in memory or in
    a temporary file.
    warn: is called with a message about a metric that fails, which is None.

    Raises `TrainingError` where a score is not a number, `DataError` where no video has a label.
    """
    kept = TopK(videos.labels.count)
    every = AllScores(videos.labels) if metrics.need_all_scores(names) else None
    seconds = {"reading": 0.0, "model": 0.0, "metric": 0.0}
    read = torch.zeros(2, dtype=torch.int64)  # frames, and bytes of the features
    used: list[Tensor] = []
    own = processes.share(len(videos), batch_size).own
    source = batches(videos, torch.arange(len(videos))[own], batch_size, {"": view}, device=device)
    with evaluating(model), torch.inference_mode():
        while True:
            began = time.perf_counter()
            batch = next(source, None)
            seconds["reading"] += time.perf_counter() - began
            if batch is None:
                break
            clips = batch.clips[""]
            began = time.perf_counter()
            output = model(clips.to(device))
            logits = output.logits.cpu()
            seconds["model"] += time.perf_counter() - began
            shown = view.frames_read(videos.lengths[batch.videos], clips.times)
            consumed, numbers = _consumed(model, videos, shown, clips, output)
            if not videos.sparse:
                numbers = int(videos.lengths[batch.videos].sum()) * videos.width
            read += torch.tensor([consumed, numbers * clips.frames.element_size()])
            used += [] if output.used is None else [output.used]
            if not bool(torch.isfinite(logits).all()):
                raise TrainingError(
                    "a score of the network is not a finite number; nothing was recorded of this"
                    " evaluation"
                )
            began = time.perf_counter()
            kept.update(logits, batch.labels)
            if every is not None:
                every.append(logits.float().numpy())
            seconds["metric"] += time.perf_counter() - began
    began = time.perf_counter()
    kept, every = kept.gathered(processes), every.gathered(processes) if every is not None else None
    predictions = kept.predictions(
        videos.ids, videos.labels, None if every is None else every.batches
    )
    if not predictions.class_positives.any():
        raise DataError(f"metrics need labels: none of the {len(videos)} videos has any")
    # Third-party code runs in one process alone, so that all go on with the same numbers.
    found = processes.broadcast(lambda: metrics.compute(names, predictions, warn))
    seconds["metric"] += time.perf_counter() - began
    frames, size = processes.sum(read).tolist()
    mean = frames / len(videos)
    stopped = None
    if model.exit_policy is not None:
        none = torch.empty(0, dtype=torch.int64)
        stopped = processes.gather_uneven(torch.cat([none, *used]))
    return Evaluation(
        found,
        dataclasses.replace(predictions, batches=None),  # lets the scores go
        frames_read=mean,
        bytes_read=mean * (size / frames),
        **seconds,
        used=stopped,
    )


def _consumed(
    model: Model, videos: Videos, shown: Tensor, clips: Clips, output: Output
) -> tuple[int, int]:
    """Counts the frames of a batch that were consumed, and the numbers of the features in them.

    shown: (B,) frames read for each video. A network that stops early consumes what it looked at. A
    learned selector pays for its candidates, of which it may read some features alone; the encoder
    for the rest of what it looked at.
    """
    if output.selection is None:
        each = shown if output.used is None else shown - clips.lengths + output.used
        return int(each.sum()), int(each.sum()) * videos.width
    assert model.selector is not None
    columns = columns_of(videos.features, model.selector.reads)
    own = videos.width if columns is None else len(columns)
    kept = (output.selection.index >= 0).sum(1).cpu() if output.used is None else output.used
    frames = int(shown.sum())
    return frames, frames * own + int(kept.sum()) * (videos.width - own)
