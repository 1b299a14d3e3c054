"""Mixtures of logistic experts (arXiv 1609.08675, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from distillbench_plugins.layers.precision import wide


def mixture_logits(gates: Tensor, experts: Tensor, classes: int) -> Tensor:
    """Returns log p - log(1 - p), in float32 or better, finite however large the inputs are.

    p = sum over experts of softmax(gates) * sigmoid(expert). p and 1 - p have the softmax's
    denominator in common, so neither is ever computed.

    gates: (B, C (M + 1)), of each class's M experts and of a dummy whose probability is 0.
    experts: (B, C M).
    """
    gates = wide(gates).view(-1, classes, gates.shape[1] // classes)
    experts = wide(experts).view(-1, classes, experts.shape[1] // classes)
    gates = gates - gates.detach().amax(2, keepdim=True)
    yes: Tensor = gates[:, :, :-1] + logsigmoid(experts)
    no = torch.cat([gates[:, :, :-1] + logsigmoid(-experts), gates[:, :, -1:]], 2)
    return yes.logsumexp(2) - no.logsumexp(2)
