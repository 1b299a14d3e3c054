"""Biases with which every class begins at its share of the training videos."""

from __future__ import annotations

import torch
from torch import Tensor

_MOST = 0.99


@torch.no_grad()
def begin_at(bias: Tensor, probabilities: Tensor) -> None:
    """Sets the bias of sigmoids to the logits of probabilities, which are capped at 0.99.

    bias: (C,), or (C M,) of C groups that have one probability each.
    probabilities: (C,), above 0.
    """
    logits = probabilities.clamp_max(_MOST).logit()
    bias.copy_(logits.repeat_interleave(len(bias) // len(logits)))


def begin_mixture_at(bias: Tensor, probabilities: Tensor) -> None:
    """Sets the bias of a mixture's experts (C M,), of which an even gate takes M / (M + 1).

    The dummy expert takes the rest.
    """
    mixtures = len(bias) // len(probabilities)
    begin_at(bias, probabilities * (mixtures + 1) / mixtures)
