"""What a network makes of videos, score by score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.data.batches import Reads, batches
from distillbench.interfaces import Clips, Videos
from distillbench.networks import Model


@dataclass(frozen=True)
class Scores:
    """Every class's score of V videos.

    ids: (V) strings.
    values: (V, C) float32, the probability of each class.
    class_names: C names, or None.
    """

    ids: tuple[str, ...]
    values: NDArray[np.float32]
    class_names: Sequence[str] | None


def scores_of(model: Model, videos: Videos, view: Reads, size: int, device: torch.device) -> Scores:
    """Scores every video in order, `size` at once; the network is in evaluation mode."""
    logits = [logits for _, logits in logits_of(model, videos, view, size, device)]
    return Scores(tuple(videos.ids), torch.cat(logits).sigmoid().numpy(), videos.class_names)


def logits_of(
    model: Model,
    videos: Videos,
    view: Reads,
    size: int,
    device: torch.device,
    most: int | None = None,
) -> Iterator[tuple[Clips, Tensor]]:
    """Yields the clips of the videos in stored form, and the logits (B, C) on the CPU.

    most: how many videos, the first ones; all where it is None.
    """
    order = torch.arange(len(videos))[:most]
    with torch.inference_mode():
        for batch in batches(videos, order, size, {"": view}, device=device):
            clips = batch.clips[""]
            yield clips, model(clips.to(device)).logits.cpu()
