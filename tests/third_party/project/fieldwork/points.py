"""A single-label data set with a loss and a metric of its own."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import multi_margin_loss

from distillbench import hookimpl
from distillbench.interfaces import (
    Codec,
    DataSet,
    LabelLoss,
    Labels,
    LossBatch,
    Metric,
    Output,
    Predictions,
    Requirements,
    Splits,
    Videos,
)

CLASSES, WIDTH = 4, 6


class Wanderings(Videos):
    """Points that wander about the place of their class."""

    codec = Codec(normalise="none")
    class_names = None

    def __init__(self, split: str, count: int, seed: int) -> None:
        drawn = torch.Generator().manual_seed(seed)
        self.ids = [f"{split}-{number}" for number in range(count)]
        self.lengths = torch.randint(3, 12, (count,), generator=drawn)
        classes = torch.arange(count) % CLASSES
        self.labels = Labels(torch.arange(count + 1), classes, CLASSES)
        self.features = {"place": WIDTH}
        self.fingerprint = f"points-{split}-{count}-{seed}"
        noise = torch.randn(count, 12, WIDTH, generator=drawn)
        self._frames = noise + 2.0 * torch.eye(CLASSES, WIDTH)[classes][:, None]

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Takes frames out of memory."""
        found = self._frames[videos[:, None], frames.clamp_min(0)] * (frames >= 0)[:, :, None]
        return found if out is None else out.copy_(found)


class Points(DataSet):
    """Made-up videos of one class each.

    Knobs:
        videos: of the training split; validation and test have half of them.
    """

    label_kind = "single-label"
    label_loss = "margin"
    metrics = ("worst_class", "top_1")

    def __init__(self, *, videos: int = 64) -> None:
        self.videos = videos

    def splits(self) -> Splits:
        """Makes the three splits."""
        counts = {"train": self.videos, "validation": self.videos // 2, "test": self.videos // 2}
        made = [Wanderings(name, max(8, n), seed) for seed, (name, n) in enumerate(counts.items())]
        return Splits(*made)


class Margin(LabelLoss):
    """The multi-class hinge loss: the right class leads every other by a margin of 1."""

    requirements = Requirements(
        frozenset({"labels", "hard-labels", "logits"}),
        valid_for=frozenset({"single-label"}),
        claims=frozenset({"batch-mean", "any-width"}),
    )

    def forward(self, output: Output, batch: LossBatch) -> Tensor:
        """Returns the mean over the batch."""
        return multi_margin_loss(output.logits.float(), batch.labels.argmax(1))


class WorstClass(Metric):
    """The share of right videos of the class in which it is the smallest."""

    title = "worst class"
    label_kinds = frozenset({"single-label"})

    def compute(self, predictions: Predictions) -> float | None:
        """Returns a number in [0, 1]; None where there is no video."""
        if not len(predictions) or predictions.labels is None:
            return None
        classes = predictions.labels.classes.numpy()
        right = predictions.hits[:, 0]
        return float(min(np.mean(right[classes == each]) for each in np.unique(classes)))


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `points`."""
    return {"points": Points}


@hookimpl
def label_losses() -> dict[str, type[LabelLoss]]:
    """Offers `margin`."""
    return {"margin": Margin}


@hookimpl
def metrics() -> dict[str, type[Metric]]:
    """Offers `worst_class`."""
    return {"worst_class": WorstClass}
