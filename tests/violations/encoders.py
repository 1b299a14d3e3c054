"""An correct encoder, and for each promise one that breaks it alone."""

from __future__ import annotations

import torch
from torch import nn
from violations.violating import violating

from distillbench.interfaces import NO_FRAME, Encoder, Encoding, States


def build(self, width: int) -> None:
    Encoder.__init__(self)
    self.frame = nn.Linear(width, 12)
    self.video = nn.Linear(12, 8)


def hidden(self, clips):
    return torch.tanh(self.frame(clips.frames)) * clips.mask()[:, :, None]


def pooled(self, clips):
    return self.hidden(clips).sum(1) / clips.lengths.to(clips.frames.device)[:, None]


def summary(self, clips):
    return self.video(self.pooled(clips))


def forward(self, clips, *, with_states=False):
    if not with_states:
        return Encoding(self.summary(clips))
    return Encoding(self.summary(clips), {"frame": States(self.hidden(clips), clips.times)})


PARTS = {
    "__init__": build,
    "hidden": hidden,
    "pooled": pooled,
    "summary": summary,
    "forward": forward,
}
CORRECT = violating(Encoder, PARTS)


def squeezes_a_single_clip(self, clips, *, with_states=False):
    return Encoding(summary(self, clips).squeeze(0))


def always_gives_states(self, clips, *, with_states=False):
    return forward(self, clips, with_states=True)


def numbers_states_beyond_the_clip(self, clips, *, with_states=False):
    if not with_states:
        return forward(self, clips)
    times = torch.where(clips.times == NO_FRAME, NO_FRAME, clips.times + 1)
    return Encoding(self.summary(clips), {"frame": States(self.hidden(clips), times)})


def centres_over_the_batch(self, clips):
    row = summary(self, clips)
    return row - 0.5 * row.mean(0)


def sorts_and_forgets_to_sort_back(self, clips):
    return summary(self, clips)[clips.lengths.argsort(descending=True, stable=True)]


def pools_over_padding(self, clips):
    return self.hidden(clips).mean(1)


def divides_by_one_less(self, clips):
    return self.hidden(clips).sum(1) / (clips.lengths.to(clips.frames.device) - 1)[:, None]


def scales_frames_in_place(self, clips, *, with_states=False):
    clips.frames.mul_(0.5)
    return forward(self, clips, with_states=with_states)


def adds_noise_in_evaluation(self, clips):
    return summary(self, clips) * (1 + 0.1 * torch.rand(1, device=clips.frames.device))


def has_a_spare_weight(self, width: int) -> None:
    build(self, width)
    self.spare = nn.Parameter(torch.ones(3))


def draws_a_scale_that_is_no_weight(self, width: int) -> None:
    build(self, width)
    self.scale = 1 + torch.rand(()).item()


def scales(self, clips):
    return self.scale * summary(self, clips)


def looks_at_values(self, clips):
    return summary(self, clips) * (1.0 if clips.frames.sum().item() else 0.0)


def multiplies_one_by_one(linear, values):
    return (values[..., None, :] * linear.weight).sum(-1) + linear.bias


def hidden_without_products(self, clips):
    return torch.tanh(multiplies_one_by_one(self.frame, clips.frames)) * clips.mask()[:, :, None]


def summary_without_products(self, clips):
    return multiplies_one_by_one(self.video, self.pooled(clips))


def builds_one_layer(self, width: int) -> None:
    Encoder.__init__(self)
    self.video = nn.Linear(width, 8)


def pools_first(self, clips, *, with_states=False):
    return Encoding(
        self.video(clips.frames.sum(1) / clips.lengths.to(clips.frames.device)[:, None])
    )


def turns_its_gradient_round(self, clips):
    states = hidden(self, clips)
    return 2 * states.detach() - states


def counts(self, width: int) -> None:
    build(self, width)
    self.register_buffer("seen", torch.zeros(()))


def counts_what_it_saw(self, clips, *, with_states=False):
    self.seen += len(clips.lengths)
    return forward(self, clips, with_states=with_states)


def copies_into_float32(self, clips):
    rows = summary(self, clips)
    table = torch.zeros(rows.shape, device=rows.device)
    table[torch.arange(len(rows), device=rows.device)] = rows
    return table


def forgets_the_rest(self, clips, frames):
    return Encoding(summary(self, clips) / 2)


VIOLATIONS = [
    ("a_row_for_each_clip", violating(Encoder, PARTS, forward=squeezes_a_single_clip)),
    ("states_come_when_asked", violating(Encoder, PARTS, forward=always_gives_states)),
    ("states_come_when_asked", violating(Encoder, PARTS, forward=numbers_states_beyond_the_clip)),
    ("exits_end_where_it_ends", violating(Encoder, PARTS, exits=(1, 2), up_to=forgets_the_rest)),
    (
        "exits_end_where_it_ends",
        violating(
            Encoder, PARTS, exits=(2, 1), up_to=lambda self, clips, frames: forward(self, clips)
        ),
    ),
    ("clips_do_not_see_each_other", violating(Encoder, PARTS, summary=centres_over_the_batch)),
    (
        "order_of_the_batch_does_not_matter",
        violating(Encoder, PARTS, summary=sorts_and_forgets_to_sort_back),
    ),
    ("padding_is_not_seen", violating(Encoder, PARTS, pooled=pools_over_padding)),
    ("one_frame_is_enough", violating(Encoder, PARTS, pooled=divides_by_one_less)),
    ("leaves_its_input_as_it_was", violating(Encoder, PARTS, forward=scales_frames_in_place)),
    ("evaluation_is_deterministic", violating(Encoder, PARTS, summary=adds_noise_in_evaluation)),
    ("every_weight_gets_a_gradient", violating(Encoder, PARTS, __init__=has_a_spare_weight)),
    (
        "survives_safetensors",
        violating(Encoder, PARTS, __init__=draws_a_scale_that_is_no_weight, summary=scales),
    ),
    ("its_cost_can_be_counted", violating(Encoder, PARTS, summary=looks_at_values)),
    (
        "its_cost_can_be_counted",
        violating(Encoder, PARTS, hidden=hidden_without_products, summary=summary_without_products),
    ),
    (
        "its_cost_can_be_counted",
        violating(Encoder, PARTS, __init__=builds_one_layer, forward=pools_first),
    ),
    ("learns_a_toy_batch", violating(Encoder, PARTS, hidden=turns_its_gradient_round)),
    (
        "is_unchanged_when_frozen",
        violating(Encoder, PARTS, __init__=counts, forward=counts_what_it_saw),
    ),
    ("works_under_bf16_autocast", violating(Encoder, PARTS, summary=copies_into_float32)),
]
