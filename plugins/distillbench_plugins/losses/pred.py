"""Match of the predicted probabilities."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn.functional import logsigmoid

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.knobs import require_positive
from distillbench_plugins.layers.precision import wide_pair


class Prediction(MatchingLoss):
    """Divergence of the student's probabilities from the teacher's, L_pred.

    The paper's, docs/paper.md, section 2 and rows 12 and 14.

    Knobs:
        divergence: bernoulli, the sum over classes of KL(teacher || student); categorical, KL of
            the sigmoids normalized over the classes, as the released code has it; squared, the sum
            over classes of (p_T - p_S)^2.
        reduction: mean over the batch, or sum, as the released code has it.
        temperature: T, above 0, that divides both networks' logits; the value is multiplied by T^2.
            With `bernoulli` it is the MLD loss of arXiv 2308.06453, eq. 2.
    """

    requirements = Requirements(
        frozenset({"logits"}), claims=frozenset({"batch-mean", "least-at-match", "any-width"})
    )

    def __init__(
        self,
        context: LossContext,
        *,
        divergence: Literal["bernoulli", "categorical", "squared"] = "bernoulli",
        reduction: Literal["mean", "sum"] = "mean",
        temperature: float = 1.0,
    ) -> None:
        super().__init__(context)
        require_positive("loss pred", temperature=temperature)
        self.temperature = temperature
        self.divergence = {
            "bernoulli": _bernoulli,
            "categorical": _categorical,
            "squared": _squared,
        }[divergence]
        self.reduction = reduction

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(output.logits, teacher.logits)
        if self.temperature != 1.0:
            ours, theirs = ours / self.temperature, theirs / self.temperature
        total = self.temperature**2 * self.divergence(theirs, ours).sum()
        return total / len(ours) if self.reduction == "mean" else total


def _bernoulli(teacher: Tensor, student: Tensor) -> Tensor:
    yes = teacher.sigmoid() * (logsigmoid(teacher) - logsigmoid(student))
    no = (-teacher).sigmoid() * (logsigmoid(-teacher) - logsigmoid(-student))
    return yes + no


def _categorical(teacher: Tensor, student: Tensor) -> Tensor:
    ours, theirs = logsigmoid(student).log_softmax(1), logsigmoid(teacher).log_softmax(1)
    return theirs.exp() * (theirs - ours)


def _squared(teacher: Tensor, student: Tensor) -> Tensor:
    return (teacher.sigmoid() - student.sigmoid()).square()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `pred`."""
    return {"pred": Prediction}
