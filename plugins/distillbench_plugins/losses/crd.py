"""Contrastive representation distillation (arXiv 1910.10699)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, normalize

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.knobs import not_positive, refuse, wrong_counts
from distillbench_plugins.layers.packing import moved
from distillbench_plugins.layers.precision import wide_pair


class ContrastiveRepresentation(MatchingLoss):
    """Tells a video's own teacher from other videos', and its own student from other videos'.

    -log h(T, S) of the video itself minus the sum over N others of log(1 - h), with
    h = e^(g_T.g_S / tau) / (e^(g_T.g_S / tau) + N / M), M videos in the training split
    (arXiv 1910.10699, eq. 17 to 19), for both networks as the anchor, batch mean. The others come
    from a memory bank of each network's projected encodings, which moves towards the new ones after
    every step. On multi-label data `positives="labels"` leaves videos that share a label with the
    anchor out of the others. Frames play no part: encodings are one row a video.

    Knobs:
        width: of the space in which encodings are compared.
        negatives: N, other videos drawn for each; 0 compares with every other video.
        temperature: tau, above 0.
        momentum: share of a memory that stays at a step, within [0, 1).
        positives: video, only the video itself; labels, videos that share a label are no negatives.
        learning_rate: of the projections; 0 for that of the run.
    """

    requirements = Requirements(frozenset({"summary", "labels"}), claims=frozenset({"any-width"}))
    student_bank: Tensor
    teacher_bank: Tensor
    labels_bank: Tensor

    def __init__(
        self,
        context: LossContext,
        *,
        width: int = 128,
        negatives: int = 1024,
        temperature: float = 0.07,
        momentum: float = 0.5,
        positives: Literal["video", "labels"] = "video",
        learning_rate: float = 0.0,
    ) -> None:
        super().__init__(context)
        problems = wrong_counts("loss crd", width=(width, 1, 65_536))
        if negatives < 0:
            problems.append(f"loss crd: negatives={negatives} is not at least 0")
        problems += not_positive("loss crd", temperature=temperature)
        if not 0.0 <= momentum < 1.0:
            problems.append(f"loss crd: momentum={momentum} is not within [0, 1)")
        if learning_rate < 0:
            problems.append(f"loss crd: learning_rate={learning_rate} is not at least 0")
        refuse(problems)
        theirs = context.teacher.summary if context.teacher else context.student.summary
        self.student = nn.Linear(context.student.summary, width)
        self.teacher = nn.Linear(theirs, width)
        self.videos, self.negatives, self.temperature = context.videos, negatives, temperature
        self.momentum, self.positives, self.learning_rate = momentum, positives, learning_rate
        for name in ("student_bank", "teacher_bank"):
            self.register_buffer(name, normalize(torch.randn(context.videos, width), dim=1))
        self.register_buffer("labels_bank", torch.zeros(context.videos, context.student.classes))
        self._seen: tuple[Tensor, Tensor, Tensor, Tensor] | None = None

    def optimizer_groups(self) -> Sequence[Mapping[str, Any]]:
        """Returns the projections, with a learning rate of their own where one is set."""
        group: dict[str, Any] = {"params": list(self.parameters())}
        return [group | ({"lr": self.learning_rate} if self.learning_rate else {})]

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs = wide_pair(output.encoding.summary, teacher.encoding.summary)
        student = normalize(self.student(ours).to(ours.dtype), dim=1)
        target = normalize(self.teacher(theirs).to(ours.dtype), dim=1)
        others, taken = self._others(batch)
        self._seen = (
            batch.videos,
            student.detach(),
            target.detach(),
            batch.labels,
        )
        positive = (student * target).sum(1) / self.temperature
        loss = 2 * self._known(positive)
        for anchor, bank in ((student, "teacher_bank"), (target, "student_bank")):
            products = _products(anchor, getattr(self, bank).to(anchor.dtype), others)
            loss = loss + (self._unknown(products / self.temperature) * taken).sum(1)
        return loss.mean()

    def after_step(self) -> None:
        """Moves the memories of the batch's videos towards their new encodings."""
        if self._seen is None:
            return
        videos, student, teacher, labels = self._seen
        for name, new in (("student_bank", student), ("teacher_bank", teacher)):
            bank = getattr(self, name)
            mixed = self.momentum * bank[videos] + (1 - self.momentum) * new.to(bank.dtype)
            bank[videos] = normalize(mixed, dim=1)
        self.labels_bank[videos] = labels.to(self.labels_bank)
        self._seen = None

    def _others(self, batch: LossBatch) -> tuple[Tensor, Tensor]:
        """Chooses the negatives of each video, (B, N), and which of them count, (B, N)."""
        count, device = len(batch.videos), batch.labels.device
        if self.negatives:
            others = moved(torch.randint(self.videos, (count, self.negatives)), device)
        else:
            others = torch.arange(self.videos, device=device).expand(count, -1)
        counts = others != batch.videos.to(device, non_blocking=True)[:, None]
        if self.positives == "labels":
            known = self.labels_bank[others]
            shared = (known * batch.labels.to(known)[:, None]).sum(2)
            counts = counts & (shared == 0)
        return others, counts

    def _offset(self) -> float:
        return math.log((self.negatives or self.videos) / self.videos)

    def _known(self, scaled: Tensor) -> Tensor:
        """-log h of products divided by tau: h is a sigmoid, shifted by log(N / M)."""
        return -logsigmoid(scaled - self._offset())

    def _unknown(self, scaled: Tensor) -> Tensor:
        """-log(1 - h)."""
        return -logsigmoid(self._offset() - scaled)


def _products(anchors: Tensor, bank: Tensor, others: Tensor) -> Tensor:
    """Multiplies each anchor (B, W) by its own choice (B, N) of the memories (M, W)."""
    # Gathering rows costs about as much as ten products with them.
    if len(bank) <= 10 * others.shape[1]:
        return (anchors @ bank.T).gather(1, others)
    return (bank[others] @ anchors[:, :, None])[:, :, 0]


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `crd`."""
    return {"crd": ContrastiveRepresentation}
