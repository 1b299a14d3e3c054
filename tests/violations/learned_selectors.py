"""An correct selector that is a part of the network, and for each promise one that breaks it alone."""

from __future__ import annotations

import torch
from torch import nn
from violations.violating import violating

from distillbench.interfaces import NO_FRAME, LearnedSelector, Selection


def build(self, width: int, k: int) -> None:
    LearnedSelector.__init__(self)
    self.k, self.score = k, nn.Linear(width, 1)


def candidates(self, lengths):
    """Every frame."""
    index = torch.arange(int(lengths.max())).expand(len(lengths), -1)
    return index.masked_fill(index >= lengths[:, None], NO_FRAME)


def scores(self, clips):
    return self.score(clips.frames)[:, :, 0]


def best(self, scored, clips):
    """The positions of the k frames of each clip that score best, ascending."""
    count = min(self.k, scored.shape[1])
    found = scored.masked_fill(~clips.mask(), -torch.inf).topk(count, 1).indices
    beyond = found >= clips.lengths[:, None]
    found = found.masked_fill(beyond, scored.shape[1]).sort(1).values
    return found.masked_fill(found == scored.shape[1], NO_FRAME)


def forward(self, clips, generator):
    scored = self.scores(clips)
    index = self.best(scored.detach(), clips)
    return Selection(index, 2 * scored.sigmoid().gather(1, index.clamp_min(0)))


PARTS = {
    "__init__": build,
    "candidates": candidates,
    "scores": scores,
    "best": best,
    "forward": forward,
}
CORRECT = violating(LearnedSelector, PARTS)


def reads_backwards(self, lengths):
    index = candidates(self, lengths)
    return torch.where(index == NO_FRAME, index, lengths[:, None] - 1 - index)


def keeps_one_more(self, scored, clips):
    self.k, k = self.k + 1, self.k
    try:
        return best(self, scored, clips)
    finally:
        self.k = k


def compares_with_the_neighbour(self, clips):
    scored = scores(self, clips)
    return scored - 2 * scored.flip(0)


def cuts_the_gradient(self, clips, generator):
    chosen = forward(self, clips, generator)
    return Selection(chosen.index, chosen.weights.detach())


def has_a_spare_weight(self, width: int, k: int) -> None:
    build(self, width, k)
    self.spare = nn.Parameter(torch.ones(3))


def weighs_every_candidate(self, clips, generator):
    scored = self.scores(clips)
    return Selection(self.best(scored.detach(), clips), scored.sigmoid())


def gives_a_probability_above_one(self, clips, generator):
    chosen = forward(self, clips, generator)
    return Selection(chosen.index, chosen.weights, 1 + chosen.weights.sum(1).square())


def scores_what_it_kept(self, clips, generator):
    chosen = forward(self, clips, generator)
    return Selection(chosen.index, chosen.weights, scores=chosen.weights)


def scores_padding_with_infinity(self, clips, generator):
    chosen = forward(self, clips, generator)
    scored = self.scores(clips).masked_fill(~clips.mask(), -torch.inf)
    return Selection(chosen.index, chosen.weights, scores=scored)


def compares_with_frames_that_there_are_not(self, clips, generator):
    chosen = forward(self, clips, generator)
    return Selection(
        chosen.index, chosen.weights, baseline=torch.arange(3).repeat(len(chosen.index), 1)
    )


def learns_from_nothing_but_scores_without_gradient(self, clips, generator):
    scored = self.scores(clips).detach()
    return Selection(self.best(scored, clips), scores=scored)


def draws_a_direction_that_is_no_weight(self, width: int, k: int) -> None:
    build(self, width, k)
    self.direction = torch.randn(width)


def scores_along_it(self, clips):
    return scores(self, clips) + 10 * clips.frames @ self.direction


def draws_from_torch(self, clips):
    noise = torch.rand(clips.frames.shape[:2]) if self.training else 0.0
    return scores(self, clips) + 10 * noise


VIOLATIONS = [
    ("reads_frames_that_there_are", violating(LearnedSelector, PARTS, candidates=reads_backwards)),
    ("keeps_at_most_k", violating(LearnedSelector, PARTS, best=keeps_one_more)),
    (
        "a_clip_is_chosen_from_alone",
        violating(LearnedSelector, PARTS, scores=compares_with_the_neighbour),
    ),
    ("draws_from_its_generator_alone", violating(LearnedSelector, PARTS, scores=draws_from_torch)),
    ("is_learned", violating(LearnedSelector, PARTS, forward=cuts_the_gradient)),
    ("is_learned", violating(LearnedSelector, PARTS, __init__=has_a_spare_weight)),
    (
        "weights_and_probabilities_fit",
        violating(LearnedSelector, PARTS, forward=weighs_every_candidate),
    ),
    (
        "weights_and_probabilities_fit",
        violating(LearnedSelector, PARTS, forward=gives_a_probability_above_one),
    ),
    (
        "weights_and_probabilities_fit",
        violating(LearnedSelector, PARTS, forward=scores_what_it_kept),
    ),
    (
        "weights_and_probabilities_fit",
        violating(LearnedSelector, PARTS, forward=scores_padding_with_infinity),
    ),
    (
        "weights_and_probabilities_fit",
        violating(LearnedSelector, PARTS, forward=compares_with_frames_that_there_are_not),
    ),
    (
        "is_learned",
        violating(LearnedSelector, PARTS, forward=learns_from_nothing_but_scores_without_gradient),
    ),
    (
        "survives_storage",
        violating(
            LearnedSelector,
            PARTS,
            __init__=draws_a_direction_that_is_no_weight,
            scores=scores_along_it,
        ),
    ),
]
