"""Masked generative distillation, over time (arXiv 2205.01529)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.alignment import at_the_same_frames, shared_layer
from distillbench_plugins.layers.knobs import not_a_share, refuse


class MaskedGeneration(MatchingLoss):
    """Squared error of the teacher's states, generated from the student's with some masked.

    States are brought to the teacher's width, random frames of them are set to 0, and two
    convolutions over time with a ReLU between them generate the teacher's (arXiv 2205.01529, eq. 2
    to 5). Summed over frames and width, batch mean. The teacher's states are those after the
    student's k frames. Labels play no part.

    Knobs:
        masked: share of the frames that are masked, within [0, 1).
        kernel: frames that a convolution spans, odd.
    """

    requirements = Requirements(frozenset({"states"}), claims=frozenset({"any-width"}))

    def __init__(self, context: LossContext, *, masked: float = 0.5, kernel: int = 3) -> None:
        super().__init__(context)
        problems = not_a_share("loss mgd", masked=masked)
        if not (1 <= kernel <= 99 and kernel % 2):
            problems.append(f"loss mgd: kernel={kernel} is not an odd integer from 1 to 99")
        refuse(problems)
        self.masked = masked
        self.layer = shared_layer(context, "loss mgd")
        width = context.teacher.states[self.layer] if context.teacher else 0
        self.align = nn.Linear(context.student.states[self.layer], width)
        self.generate = nn.Sequential(
            nn.Conv1d(width, width, kernel, padding=kernel // 2),
            nn.ReLU(),
            nn.Conv1d(width, width, kernel, padding=kernel // 2),
        )

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        ours, theirs, both = at_the_same_frames(
            output.encoding.states[self.layer], teacher.encoding.states[self.layer]
        )
        shown = (torch.rand(both.shape) >= self.masked).to(ours.device) & both
        states = self.align(ours) * shown[:, :, None]
        made = self.generate(states.transpose(1, 2)).transpose(1, 2)
        apart: Tensor = (made.to(theirs.dtype) - theirs).square() * both[:, :, None]
        return apart.sum((1, 2)).mean()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `mgd`."""
    return {"mgd": MaskedGeneration}
