"""Match of the flow between layers, FSP (Yim et al., CVPR 2017)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.errors import NotApplicableError
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.alignment import at_the_same_frames, shared_layer
from distillbench_plugins.layers.unit_products import joint_product


class Flow(MatchingLoss):
    """Squared distance of the products of consecutive layers, mean over their entries, batch mean.

    G = the mean over the frames of (state of one layer) x (state of the next) (Yim et al., "A Gift
    from Knowledge Distillation", CVPR 2017, eq. 1 and 2). A network with one layer of states is
    compared by that layer's product with itself. The teacher's states are those after the student's
    k frames; layers of the same name must have the same width. Labels play no part.
    """

    requirements = Requirements(
        frozenset({"states", "equal-widths", "products"}),
        claims=frozenset({"batch-mean", "least-at-match"}),
    )

    def __init__(self, context: LossContext) -> None:
        super().__init__(context)
        shared_layer(context, "loss fsp")
        theirs = context.teacher.states if context.teacher else {}
        self.layers = [name for name in context.student.states if name in theirs]
        unequal = [n for n in self.layers if context.student.states[n] != theirs[n]]
        if unequal:
            name = unequal[0]
            raise NotApplicableError(
                [
                    f"loss fsp compares layers of equal width, and '{name}' has "
                    f"{context.student.states[name]} in the student and {theirs[name]} in the "
                    "teacher"
                ]
            )

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        aligned = [
            at_the_same_frames(output.encoding.states[name], teacher.encoding.states[name])
            for name in self.layers
        ]
        pairs = list(pairwise(aligned)) or [(aligned[0], aligned[0])]
        distances = []
        for (ours, theirs, both), (next_ours, next_theirs, next_both) in pairs:
            frames = (both & next_both).sum(1).clamp_min(1)
            apart = (
                joint_product(ours, ours, next_ours, next_ours)
                - 2 * joint_product(ours, theirs, next_ours, next_theirs)
                + joint_product(theirs, theirs, next_theirs, next_theirs)
            )
            entries = ours.shape[2] * next_ours.shape[2]
            distances.append((apart / frames.square()).mean() / entries)
        return torch.stack(distances).mean()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `fsp`."""
    return {"fsp": Flow}
