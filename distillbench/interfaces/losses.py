"""What a network learns from: labels, and other networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from distillbench.interfaces.datasets import LabelKind
from distillbench.interfaces.networks import Output, Shapes

Need = Literal[
    "labels",
    "hard-labels",
    "logits",
    "summary",
    "states",
    "exits",
    "selection",
    "frame-logits",
    "equal-widths",
    "batch",
    "products",
]
Claim = Literal["batch-mean", "least-at-match", "any-width"]


@dataclass(frozen=True)
class Requirements:
    """What a loss needs, where it is valid and what it promises beyond the contract.

    needs: `labels`; `hard-labels`, none of which is there in part, as those of mixed videos are
        (`Phase.mixup`); which parts of an output it reads (`logits`, `summary`, `states`, `exits`,
        `selection`); `frame-logits`: the teacher's logits of each frame alone, for which it runs
        over each once more; `equal-widths` of what it compares; `batch`: it compares the videos of
        a batch with one another; `products`: it compares products of a video's states, which other
        states may have, too. One that reads the `selection` trains the selector and no head.
    valid_for: the label kinds the loss is meant for; another kind is allowed, warned of and noted
        on the row.
    refused_for: the label kinds the loss cannot be computed for; such a run is refused.
    claims: `batch-mean`: a batch joined with itself gives the same value; `least-at-match`: no
        student does better than one equal to its teacher; `any-width`: teacher and student may
        differ in width.
    """

    needs: frozenset[Need]
    valid_for: frozenset[LabelKind] = frozenset({"multi-label", "single-label"})
    claims: frozenset[Claim] = frozenset()
    refused_for: frozenset[LabelKind] = frozenset()


@dataclass(frozen=True)
class LossContext:
    """What a loss is built for.

    student: the network that learns.
    teacher: the one it is compared with; None for a loss on the labels.
    videos: of the training split, the size of a memory bank.
    positives: how many training videos have each class, C numbers; empty where it is not known.
    """

    student: Shapes
    teacher: Shapes | None
    videos: int
    positives: Sequence[int] = ()


@dataclass(frozen=True)
class LossBatch:
    """What is known of a batch beside the outputs.

    labels: (B, C) of 0 and 1, in float32; of mixed videos (`Phase.mixup`) anything in between.
    videos: (B,) int64 on the CPU, numbers within the training split.
    progress: of the phase, from 0 to 1.
    """

    labels: Tensor
    videos: Tensor
    progress: float = 0.0


class _Loss(nn.Module, ABC):
    """A loss, which may have weights and buffers.

    Weights are trained with the network; a buffer may hold a memory bank.

    Both are stored in checkpoints. Several processes that train together give it the same outputs
    and random numbers, so that its state is the same in all of them.
    """

    requirements: ClassVar[Requirements]

    def __init__(self, context: LossContext) -> None:
        super().__init__()

    def optimizer_groups(self) -> Sequence[Mapping[str, Any]]:
        """Returns its weights as parameter groups.

        A group may have an `lr` and a `weight_decay` of its own.

        By default one group, with the run's settings.
        """
        own = list(self.parameters())
        return [{"params": own}] if own else []

    def after_step(self) -> None:
        """Is called once the optimizer has moved the weights."""


class LabelLoss(_Loss):
    """Compares a network's output with the labels.

    `__init__(self, context, *, knobs)`: a `LossContext`.

    Offered by the hook `label_losses`. Sums over classes and averages over the batch unless its
    documentation has another rule.

    default_for: the label kinds for which teachers and baselines minimize it where neither the user
    nor the data set names another.
    """

    default_for: ClassVar[frozenset[LabelKind]] = frozenset()

    @abstractmethod
    def forward(self, output: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar."""


class MatchingLoss(_Loss):
    """Compares a student with its teacher. `__init__(self, context, *, knobs)`: a `LossContext`.

    Offered by the hook `matching_losses`. Sums over widths or classes and averages over the batch
    unless its documentation has another rule.
    """

    @abstractmethod
    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar.

        teacher: without gradient.
        """
