"""What a network makes of videos, score by score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.data.batches import Reads, batches
from distillbench.interfaces import Clips, LabelKind, Videos
from distillbench.networks import Model


@dataclass(frozen=True)
class VideoCost:
    """What classifying one file took.

    frames: how many of it there are, at the rate of the features.
    encoded: how many of them were made features of; 0 where features were read.
    decoded: how many frames of the file were decoded for these, those in between included.
    decoding, backbone, student: seconds of opening the file and decoding, of encoding pictures, and
        of choosing frames and classifying.
    """

    frames: int
    encoded: int
    decoded: int
    decoding: float
    backbone: float
    student: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.decoding + self.backbone + self.student


@dataclass(frozen=True)
class Scores:
    """Every class's score of V videos.

    ids: (V) strings.
    values: (V, C) float32, the probability of each class.
    class_names: C names, or None.
    costs: of files, what each took; else empty.
    unusable: of files, those without scores, and why.
    """

    ids: tuple[str, ...]
    values: NDArray[np.float32]
    class_names: Sequence[str] | None
    costs: tuple[VideoCost, ...] = ()
    unusable: Mapping[str, str] = field(default_factory=dict)


def scores_of(
    model: Model,
    videos: Videos,
    view: Reads,
    size: int,
    device: torch.device,
    label_kind: LabelKind,
) -> Scores:
    """Scores every video in order, `size` at once; the network is in evaluation mode."""
    logits = torch.cat([logits for _, logits in logits_of(model, videos, view, size, device)])
    return Scores(tuple(videos.ids), probabilities(logits, label_kind), videos.class_names)


def probabilities(logits: Tensor, label_kind: LabelKind) -> NDArray[np.float32]:
    """Turns logits (V, C) into the probability of each class.

    Where a video has one label they sum to 1.
    """
    made = logits.softmax(1) if label_kind == "single-label" else logits.sigmoid()
    values: NDArray[np.float32] = made.float().cpu().numpy()
    return values


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
