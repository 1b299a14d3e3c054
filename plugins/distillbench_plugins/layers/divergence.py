"""Divergence of softened class probabilities (arXiv 1503.02531)."""

from __future__ import annotations

from torch import Tensor


def softened_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), batch mean; logits are (B, C)."""
    ours = (student / temperature).log_softmax(1)
    theirs = (teacher / temperature).log_softmax(1)
    divergence = (theirs.exp() * (theirs - ours)).sum(1)
    return temperature**2 * divergence.mean()
