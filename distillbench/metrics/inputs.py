"""One batch of scores and labels, checked and unpacked for the accumulators."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.errors import TrainingError

Array = Tensor | NDArray[np.generic]
"""Scores or labels as they come: a tensor on any device, or a numpy array."""


def unpack(scores: Array, labels: Array, classes: int) -> tuple[Tensor, Tensor]:
    """Returns the scores (B, C) as float32 and the labels (B, C) as bool, on the scores' device.

    Raises ValueError where either is not (B, `classes`) or the two differ.
    """
    with (
        warnings.catch_warnings()
    ):  # torch warns of arrays that must not be written to, which nobody does
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        scores, labels = torch.as_tensor(scores), torch.as_tensor(labels)
    if scores.dim() != 2 or scores.shape != labels.shape or scores.shape[1] != classes:
        raise ValueError(
            f"scores {tuple(scores.shape)} and labels {tuple(labels.shape)} must both be (videos,"
            f" {classes})"
        )
    labels = labels.to(scores.device)
    return scores.detach().to(torch.float32), labels.bool()


def positives(labels: Tensor) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the rows and the classes of the labels that are set, row by row.

    Labels (B, C) bool.
    """
    if labels.device.type != "cpu":
        of_videos, of_classes = labels.nonzero(as_tuple=True)
        return of_videos.cpu().numpy(), of_classes.cpu().numpy()
    flat = np.flatnonzero(labels.numpy())  # skips runs of zeros: four times as fast as torch
    rows = flat // labels.shape[1]
    return rows, flat - rows * labels.shape[1]


def reject_nan(scores: Tensor, seen: int) -> None:
    """Raises TrainingError where a score (B, C) is NaN, naming the first such video.

    `seen` videos came before.
    """
    if scores.sum().isnan():  # one cheap pass; opposite infinities make it NaN as well
        rows = scores.isnan().any(1).nonzero()[:, 0]
        if len(rows):
            raise TrainingError(
                f"evaluation stopped: video {seen + int(rows[0])} (counted from 0) has a score that"
                " is not a number; the network has diverged"
            )
