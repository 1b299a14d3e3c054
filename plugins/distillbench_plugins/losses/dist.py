"""Match of relations within predictions, DIST (arXiv 2205.10536)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.knobs import require_positive
from distillbench_plugins.layers.precision import wide_pair

_EPSILON = 1e-8


class RelationMatch(MatchingLoss):
    """1 - Pearson's correlation of the probabilities: of the rows and of the columns.

    beta L_inter + gamma L_intra (arXiv 2205.10536, eq. 7 to 10): the mean over the batch's rows and
    over the classes. Published code multiplies by T^2, the paper does not, and neither does this.
    On multi-label data take `form="sigmoid"`: each class is a probability of its own, and a class
    that hardly varies within a batch has no correlation to speak of and is left out. Frames play
    no part.

    Knobs:
        inter: beta, the weight of the correlation over classes.
        intra: gamma, the weight of the correlation over videos.
        temperature: T of the softmax, above 0.
        form: softmax over the classes, as in the paper; sigmoid, each class by itself.
        variance_floor: a column takes part where the variances of teacher and student exceed it.
    """

    requirements = Requirements(
        frozenset({"logits", "batch"}), claims=frozenset({"least-at-match", "any-width"})
    )

    def __init__(
        self,
        context: LossContext,
        *,
        inter: float = 1.0,
        intra: float = 1.0,
        temperature: float = 1.0,
        form: Literal["softmax", "sigmoid"] = "softmax",
        variance_floor: float = 0.0,
    ) -> None:
        super().__init__(context)
        require_positive("loss dist", temperature=temperature)
        self.inter, self.intra, self.temperature = inter, intra, temperature
        self.form, self.variance_floor = form, variance_floor

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(output.logits, teacher.logits)
        student, target = self._probabilities(ours), self._probabilities(theirs)
        rows = (1 - _correlation(student, target)).mean()
        columns = 1 - _correlation(student.T, target.T)
        varies = torch.minimum(student.var(0, correction=0), target.var(0, correction=0))
        taken = (varies >= self.variance_floor).to(columns.dtype)
        classes = (columns * taken).sum() / taken.sum().clamp_min(1)
        return self.inter * rows + self.intra * classes

    def _probabilities(self, logits: Tensor) -> Tensor:
        scaled = logits / self.temperature
        return scaled.softmax(1) if self.form == "softmax" else scaled.sigmoid()


def _correlation(student: Tensor, teacher: Tensor) -> Tensor:
    """Pearson's correlation of each pair of rows, (rows,)."""
    ours = student - student.mean(1, keepdim=True)
    theirs = teacher - teacher.mean(1, keepdim=True)
    # The floor is within the root: a row without variance has a finite gradient.
    norms = (ours.square().sum(1) + _EPSILON**2).sqrt() * (
        theirs.square().sum(1) + _EPSILON**2
    ).sqrt()
    return (ours * theirs).sum(1) / norms


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `dist`."""
    return {"dist": RelationMatch}
