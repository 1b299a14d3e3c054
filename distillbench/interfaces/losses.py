"""What a network learns from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from distillbench.interfaces.datasets import LabelKind
from distillbench.interfaces.networks import Outcome

Need = Literal["labels", "teacher", "logits", "summary", "states", "equal-widths", "batch"]
Claim = Literal["batch-mean", "least-at-match", "any-width"]


@dataclass(frozen=True)
class Passport:
    """What a loss needs, where it is valid and what it promises beyond the contract.

    needs: `labels`; `teacher` (an outcome to match); which parts of an outcome it reads (`logits`, `summary`, `states`);
        `equal-widths` of what it compares; `batch`: it compares the videos of a batch with one another.
    valid_for: the label kinds the loss is meant for; another kind is allowed, warned of and noted on the row.
    claims: `batch-mean`: a batch joined with itself gives the same value; `least-at-match`: no student does better than
        one equal to its teacher; `any-width`: teacher and student may differ in width.
    """

    needs: frozenset[Need]
    valid_for: frozenset[LabelKind] = frozenset({"multi-label", "single-label"})
    claims: frozenset[Claim] = frozenset()


class MatchingLoss(nn.Module, ABC):
    """Compares a student with its teacher, or with the labels. `__init__(self, student, teacher, *, knobs)`: two `Shapes`.

    Sums over widths or classes and averages over the batch unless its documentation says otherwise.
    """

    passport: ClassVar[Passport]

    @abstractmethod
    def forward(self, student: Outcome, teacher: Outcome | None, labels: Tensor) -> Tensor:
        """Returns one scalar. labels: (B, C) of 0 and 1, in the logits' dtype. teacher: without gradient; None where the
        passport does not need it and there is none.
        """
