"""Similarity-preserving distillation (arXiv 1907.09682)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.precision import wide_pair


class SimilarityPreserving(MatchingLoss):
    """Squared distance of the batch's similarities, divided by B^2 (arXiv 1907.09682, eq. 1 to 4).

    The similarities are the products of all pairs of encodings, each row scaled to length 1 by its
    2-norm. Some codes scale rows by their 1-norm; this is the paper's. It compares videos with one
    another, so widths may differ, and the value depends on the size of the batch. Labels and frames
    play no part.
    """

    requirements = Requirements(
        frozenset({"summary", "batch"}), claims=frozenset({"least-at-match", "any-width"})
    )

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(output.encoding.summary, teacher.encoding.summary)
        student, target = normalize(ours @ ours.T, dim=1), normalize(theirs @ theirs.T, dim=1)
        return (student - target).square().mean()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `sp`."""
    return {"sp": SimilarityPreserving}
