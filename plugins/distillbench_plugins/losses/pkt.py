"""Probabilistic knowledge transfer (arXiv 1803.10837)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.precision import wide_pair

_EPSILON = 1e-7


class ProbabilisticTransfer(MatchingLoss):
    """Divergence of the batch's neighbor probabilities (arXiv 1803.10837, eq. 6 to 9).

    The kernel is (cosine + 1) / 2, each row divided by its sum. The mean over the B^2 entries of
    p_T log(p_T / p_S), as the authors' code has it; the paper sums. Widths may differ. Labels and
    frames play no part.
    """

    requirements = Requirements(frozenset({"summary", "batch"}), claims=frozenset({"any-width"}))

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(output.encoding.summary, teacher.encoding.summary)
        student, target = _neighbors(ours), _neighbors(theirs)
        return (target * ((target + _EPSILON) / (student + _EPSILON)).log()).mean()


def _neighbors(encodings: Tensor) -> Tensor:
    unit = normalize(encodings, dim=1)
    likeness = (unit @ unit.T + 1) / 2
    return likeness / likeness.sum(1, keepdim=True)


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `pkt`."""
    return {"pkt": ProbabilisticTransfer}
