"""What single frames say, as a teacher sees it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from distillbench.errors import NotApplicableError
from distillbench.interfaces import Output, States
from distillbench_plugins.layers.alignment import at_the_same_frames

Form = Literal["sigmoid", "softmax"]
"""How logits become probabilities: of each class on its own, or among all classes."""


def agreement(frames: Tensor, video: Tensor, form: Form) -> Tensor:
    """Returns how much of what the whole video says each frame alone says: (B, T), in [0, 1].

    It is the mean of a frame's probabilities, weighted by the video's.

    frames: logits (B, T, C). video: logits (B, C).
    """
    return likelihood(frames, _probabilities(video, form)[:, None], form)


def likelihood(logits: Tensor, labels: Tensor, form: Form) -> Tensor:
    """Returns the mean probability (B, ...) of labels, or of weighted classes, (B, ..., C).

    0 without labels.
    """
    least = torch.finfo(logits.dtype).tiny
    return (_probabilities(logits, form) * labels).sum(-1) / labels.sum(-1).clamp_min(least)


def _probabilities(logits: Tensor, form: Form) -> Tensor:
    return logits.softmax(-1) if form == "softmax" else logits.sigmoid()


def candidates_of(output: Output, teacher: Output, loss: str) -> tuple[Tensor, Tensor, Tensor]:
    """Lays a selector's scores beside what the teacher says of the same frames, each alone.

    Returns scores (B, M), the teacher's logits (B, M, C) without gradient, and where both are.
    """
    chosen, each = output.selection, teacher.frame_logits
    if chosen is None or chosen.scores is None or chosen.times is None or each is None:
        raise NotApplicableError([f"the loss '{loss}' needs a learned selector that has scores"])
    ours = States(chosen.scores[:, :, None], chosen.times)
    scores, logits, both = at_the_same_frames(ours, each)
    return scores[:, :, 0], logits, both
