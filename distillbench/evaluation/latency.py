"""How long one network takes alone.

Selection, dequantisation, encoder and head, without reading and without a teacher.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distillbench.data.batches import Measured, clips_at
from distillbench.evaluation.exits import ExitShare
from distillbench.evaluation.steadiness import STEADY
from distillbench.interfaces import Videos
from distillbench.networks import Model, evaluating

_FEWEST, _MOST, _SECONDS = 10, 200, 1.0
_ROUNDS = 3


@dataclass(frozen=True)
class Latency:
    """Seconds a batch of so many videos takes: the median and the 95th percentile of `runs` runs.

    rounds: how often that was measured; the steadiest round is kept.
    load: programs that were running or waiting for each core, averaged over the last minute; None
    where the system does not tell.
    """

    batch: int
    median: float
    p95: float
    runs: int
    rounds: int = 1
    load: float | None = None

    @property
    def throughput(self) -> float:
        """Videos a second."""
        return self.batch / self.median


def measure(
    model: Model,
    videos: Videos,
    view: Measured,
    device: torch.device,
    batch: int,
    exits: Sequence[ExitShare] = (),
) -> Latency:
    """Times the network on the first `batch` videos of a split, repeated where the split has fewer.

    A round whose 95th percentile is far above its median was disturbed and is measured again, up to
    three times.

    exits: where videos stop; each exit is timed, as a network takes that goes on from exit to exit,
    and the mean over the videos is returned.
    """
    which = torch.arange(batch) % len(videos)
    clips = clips_at(videos, which, view.index(videos, which, 0), view.slots)
    runs: list[Callable[[], Tensor]] = [
        lambda stop=stop: model.straight_to(clips.to(device), stop.frames, stop.number + 1)  # type: ignore[misc]
        for stop in exits
    ] or [lambda: model(clips.to(device)).logits]
    with evaluating(model), torch.inference_mode():
        found = [_timed(run, videos, view, which) for run in runs]
    shares = [stop.share for stop in exits] or [1.0]
    median, p95 = (sum(s * f[n] for s, f in zip(shares, found, strict=True)) for n in range(2))
    counts = [(runs, rounds) for _, _, runs, rounds in found]
    return Latency(
        batch, median, p95, min(c[0] for c in counts), max(c[1] for c in counts), _load()
    )


def _timed(
    run: Callable[[], Tensor], videos: Videos, view: Measured, which: Tensor
) -> tuple[float, float, int, int]:
    """Returns the median and 95th percentile in seconds, and the numbers of runs and rounds."""

    def once() -> float:
        began = time.perf_counter()
        view.index(videos, which, 0)
        run().cpu()
        return time.perf_counter() - began

    rounds: list[tuple[float, float, int]] = []
    run()
    while len(rounds) < _ROUNDS:
        taken: list[float] = []
        while len(taken) < _FEWEST or (len(taken) < _MOST and sum(taken) < _SECONDS):
            taken.append(once())
        ordered = sorted(taken)
        p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        rounds.append((ordered[len(ordered) // 2], p95, len(ordered)))
        if p95 <= STEADY * rounds[-1][0]:
            break
    median, p95, runs = min(rounds, key=lambda found: found[1] / found[0])
    return median, p95, runs, len(rounds)


def _load() -> float | None:
    if not hasattr(os, "getloadavg"):
        return None
    return os.getloadavg()[0] / (os.cpu_count() or 1)
