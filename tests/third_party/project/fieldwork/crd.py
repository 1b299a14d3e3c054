"""Contrastive representation distillation (arXiv 1910.10699)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements


class Contrast(MatchingLoss):
    """Picks the teacher's encoding of the same video out of those of others, drawn from a memory bank.

    Knobs:
        width: of the space in which encodings are compared.
        negatives: other videos for each.
        temperature: of the similarities.
        learning_rate: of the two projections.
    """

    requirements = Requirements(frozenset({"summary"}), claims=frozenset({"any-width"}))

    def __init__(
        self,
        context: LossContext,
        *,
        width: int = 16,
        negatives: int = 8,
        temperature: float = 0.07,
        learning_rate: float = 0.01,
    ) -> None:
        super().__init__(context)
        assert context.teacher is not None
        self.ours = nn.Linear(context.student.summary, width)
        self.theirs = nn.Linear(context.teacher.summary, width)
        self.negatives, self.temperature, self.rate = negatives, temperature, learning_rate
        self.register_buffer("bank", normalize(torch.randn(context.videos, width), dim=1))
        self.seen: tuple[Tensor, Tensor] | None = None

    def optimizer_groups(self) -> Sequence[Mapping[str, Any]]:
        """Returns the projections, with a learning rate of their own."""
        return [{"params": list(self.parameters()), "lr": self.rate, "weight_decay": 1e-4}]

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns the mean over the batch."""
        student = normalize(self.ours(output.encoding.summary.float()), dim=1)
        positive = normalize(self.theirs(teacher.encoding.summary.detach().float()), dim=1)
        drawn = torch.randint(len(self.bank), (len(student), self.negatives))
        others = torch.cat([positive[:, None], self.bank[drawn]], 1)
        likeness = (student[:, None] * others).sum(2) / self.temperature
        self.seen = batch.videos, positive.detach()
        return cross_entropy(likeness, torch.zeros(len(student), dtype=torch.int64))

    def after_step(self) -> None:
        """Moves the bank towards the teacher's encodings of this batch."""
        if self.seen is not None:
            videos, new = self.seen
            self.bank[videos] = normalize(0.5 * self.bank[videos] + 0.5 * new, dim=1)
            self.seen = None


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `contrast`."""
    return {"contrast": Contrast}
