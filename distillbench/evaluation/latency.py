"""How long one network takes alone: selection, dequantisation, encoder and head, without reading and without a teacher."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import torch

from distillbench.data.batches import View, clips_at
from distillbench.interfaces import Videos
from distillbench.networks import Model

_FEWEST, _MOST, _SECONDS = 10, 200, 1.0
_ROUNDS = 3
_STEADY = 1.5
"""How far above the median the 95th percentile may be where nothing disturbed the measurement."""
_BUSY = 1.5
"""Waiting or running programs a core, above which the machine is busy with something else."""


@dataclass(frozen=True)
class Latency:
    """Seconds a batch of so many videos takes: the median and the 95th percentile of `runs` runs.

    rounds: how often that was measured; the steadiest round is kept. load: programs that were running or waiting for
    each core, averaged over the last minute; None where the system does not say.
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


def measure(model: Model, videos: Videos, view: View, device: torch.device, batch: int) -> Latency:
    """Times the network on the first `batch` videos of a split, repeated where the split has fewer.

    A round whose 95th percentile is far above its median was disturbed and is measured again, up to three times.
    """
    which = torch.arange(batch) % len(videos)
    clips = clips_at(videos, which, view.index(videos, which, 0), view.slots)
    model.eval()

    def once() -> float:
        began = time.perf_counter()
        view.index(videos, which, 0)
        model(clips.to(device)).logits.cpu()
        return time.perf_counter() - began

    rounds: list[tuple[float, float, int]] = []
    with torch.inference_mode():
        model(clips.to(device))
        while len(rounds) < _ROUNDS:
            taken: list[float] = []
            while len(taken) < _FEWEST or (len(taken) < _MOST and sum(taken) < _SECONDS):
                taken.append(once())
            ordered = sorted(taken)
            p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
            rounds.append((ordered[len(ordered) // 2], p95, len(ordered)))
            if p95 <= _STEADY * rounds[-1][0]:
                break
    median, p95, runs = min(rounds, key=lambda found: found[1] / found[0])
    return Latency(batch, median, p95, runs, len(rounds), _load())


def is_doubtful(median: float, p95: float, runs_beside: int, load: float | None) -> bool:
    """Tells whether a latency was taken while something else may have slowed it down."""
    return p95 > _STEADY * median or runs_beside > 0 or (load or 0.0) > _BUSY


def _load() -> float | None:
    if not hasattr(os, "getloadavg"):
        return None
    return os.getloadavg()[0] / (os.cpu_count() or 1)
