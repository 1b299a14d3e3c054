"""Knowledge review over an encoder's layers of states (arXiv 2104.09044)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.alignment import at_the_same_frames, shared_layer
from distillbench_plugins.layers.knobs import refuse, wrong_counts

_LEVELS = (4, 2, 1)


class Review(MatchingLoss):
    """Each layer of the teacher's states, matched by the student's layers from there on, at scales.

    From the last layer to the first, states are brought to one width, fused with those of the
    layers behind by an attention of two gates a frame, and spread over three frames by a
    convolution to the teacher's width (arXiv 2104.09044, section 3.3). The match is the squared
    error of all frames, and of their means in 4, 2 and 1 parts of the video with weights 1, 1/2,
    1/4 and 1/8, divided by the sum of those used (arXiv 2104.09044, section 3.4): mean over frames
    and width, sum over layers, batch mean. Published code normalizes batches within the fusion, the
    paper does not mention it, and neither does this. An encoder with one layer of states has
    nothing to fuse. The teacher's states are those after the student's k frames. Labels play no
    part.

    Knobs:
        width: of the fused states.
    """

    requirements = Requirements(frozenset({"states"}), claims=frozenset({"any-width"}))

    def __init__(self, context: LossContext, *, width: int = 64) -> None:
        super().__init__(context)
        refuse(wrong_counts("loss review", width=(width, 1, 65_536)))
        shared_layer(context, "loss review")
        theirs = context.teacher.states if context.teacher else {}
        # From the last layer to the first: what is later is reviewed by what is earlier.
        self.layers = [name for name in reversed([*context.student.states]) if name in theirs]
        self.narrow = nn.ModuleList(
            nn.Linear(context.student.states[name], width, bias=False) for name in self.layers
        )
        self.gates = nn.ModuleList(nn.Linear(2 * width, 2) for _ in self.layers[1:])
        self.spread = nn.ModuleList(
            nn.Conv1d(width, theirs[name], 3, padding=1, bias=False) for name in self.layers
        )

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        fused: Tensor | None = None
        total = output.encoding.summary.new_zeros(())
        for place, name in enumerate(self.layers):
            ours, theirs, both = at_the_same_frames(
                output.encoding.states[name], teacher.encoding.states[name]
            )
            narrow = self.narrow[place](ours)
            if fused is None:
                fused = narrow
            else:
                gates = self.gates[place - 1](torch.cat([narrow, fused], 2)).sigmoid()
                fused = narrow * gates[:, :, :1] + fused * gates[:, :, 1:]
            fused = fused * both[:, :, None]
            made = self.spread[place](fused.transpose(1, 2)).transpose(1, 2)
            total = total + hierarchical_context(made.to(theirs.dtype), theirs, both)
        return total


def hierarchical_context(student: Tensor, teacher: Tensor, both: Tensor) -> Tensor:
    """Squared error of frames (B, T, W) and of their means in 4, 2 and 1 parts, batch mean.

    both: which frames count, (B, T), those at the front. A video takes part in the levels that have
    fewer parts than it has frames. Parts are those of torch's `adaptive_avg_pool1d`.
    """
    apart = (student - teacher) * both[:, :, None]
    lengths = both.sum(1).clamp_min(1)
    error = apart.square().mean(2).sum(1) / lengths
    weights = torch.ones_like(error)
    place = torch.arange(both.shape[1], device=both.device)
    for level, parts in enumerate(_LEVELS, start=1):
        part = torch.arange(parts, device=both.device)[None] * lengths[:, None]
        first, end = part // parts, -(-(part + lengths[:, None]) // parts)
        within = (place >= first[:, :, None]) & (place < end[:, :, None])
        means = within.to(apart.dtype) @ apart / (end - first)[:, :, None]
        weight = (lengths > parts) * 0.5**level
        error = error + weight * means.square().mean((1, 2))
        weights = weights + weight
    return (error / weights).mean()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `review`."""
    return {"review": Review}
