"""How long one network takes alone: selection, dequantisation, encoder and head, without reading and without a teacher."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from distillbench.data.batches import View, clips_at
from distillbench.interfaces import Videos
from distillbench.networks import Model

_FEWEST, _MOST, _SECONDS = 10, 200, 1.0


@dataclass(frozen=True)
class Latency:
    """Seconds a batch of so many videos takes: the median and the 95th percentile of `runs` runs."""

    batch: int
    median: float
    p95: float
    runs: int

    @property
    def throughput(self) -> float:
        """Videos a second."""
        return self.batch / self.median


def measure(model: Model, videos: Videos, view: View, device: torch.device, batch: int) -> Latency:
    """Times the network on the first `batch` videos of a split, repeated where the split has fewer."""
    which = torch.arange(batch) % len(videos)
    clips = clips_at(videos, which, view.index(videos, which, 0), view.slots)
    model.eval()
    taken: list[float] = []
    with torch.inference_mode():
        model(clips.to(device))
        while len(taken) < _FEWEST or (len(taken) < _MOST and sum(taken) < _SECONDS):
            began = time.perf_counter()
            view.index(videos, which, 0)
            model(clips.to(device)).logits.cpu()
            taken.append(time.perf_counter() - began)
    ordered = sorted(taken)
    return Latency(
        batch, ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], len(ordered)
    )
