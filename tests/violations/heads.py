"""An correct head, and for each promise one that breaks it alone."""

from __future__ import annotations

import torch
from torch import nn
from violations.violating import violating

from distillbench.interfaces import Head


def build(self, width: int, classes: int) -> None:
    Head.__init__(self)
    self.linear = nn.Linear(width, classes)


def forward(self, summary):
    return self.linear(summary)


PARTS = {"__init__": build, "forward": forward}
CORRECT = violating(Head, PARTS)


def one_logit_too_many(self, summary):
    logits = self.linear(summary)
    return torch.cat([logits, logits[:, :1]], 1)


def centres_over_the_batch(self, summary):
    return self.linear(summary - summary.mean(0))


def overflows(self, summary):
    return self.linear(summary).exp().log()


def rounds(self, summary):
    return self.linear(summary.bfloat16().float() if summary.dtype == torch.float32 else summary)


def adds_noise_in_evaluation(self, summary):
    return self.linear(summary) + torch.rand(1)


def has_a_spare_weight(self, width: int, classes: int) -> None:
    build(self, width, classes)
    self.spare = nn.Parameter(torch.ones(3))


def draws_a_scale_that_is_no_weight(self, width: int, classes: int) -> None:
    build(self, width, classes)
    self.scale = 1 + torch.rand(()).item()


def scales(self, summary):
    return self.scale * self.linear(summary)


def keeps_what_it_computed(self, summary):
    if not torch.is_grad_enabled():
        return self.linear(summary)
    self.__dict__.setdefault("kept", self.linear(summary))
    return self.__dict__["kept"]


def counts(self, width: int, classes: int) -> None:
    build(self, width, classes)
    self.register_buffer("seen", torch.zeros(()))


def counts_what_it_saw(self, summary):
    self.seen += len(summary)
    return self.linear(summary)


def ignores_the_seed(self, width: int, classes: int) -> None:
    build(self, width, classes)
    chance = torch.Generator()
    chance.seed()
    nn.init.uniform_(self.linear.bias, -1, 1, generator=chance)


def begins_nowhere_at_even_rates(self, rates):
    self.linear.bias.data = 1 / (0.5 - rates)


VIOLATIONS = [
    ("a_logit_for_each_class", violating(Head, PARTS, forward=one_logit_too_many)),
    ("clips_do_not_see_each_other", violating(Head, PARTS, forward=centres_over_the_batch)),
    ("logits_are_finite_for_large_inputs", violating(Head, PARTS, forward=overflows)),
    ("probabilities_agree_with_float64", violating(Head, PARTS, forward=rounds)),
    (
        "may_start_from_base_rates",
        violating(Head, PARTS, start_from=begins_nowhere_at_even_rates),
    ),
    ("evaluation_is_deterministic", violating(Head, PARTS, forward=adds_noise_in_evaluation)),
    ("every_weight_gets_a_gradient", violating(Head, PARTS, __init__=has_a_spare_weight)),
    (
        "can_be_copied",
        violating(Head, PARTS, __init__=draws_a_scale_that_is_no_weight, forward=scales),
    ),
    ("can_be_tied", violating(Head, PARTS, forward=keeps_what_it_computed)),
    (
        "is_unchanged_when_frozen",
        violating(Head, PARTS, __init__=counts, forward=counts_what_it_saw),
    ),
    ("same_seed_same_component", violating(Head, PARTS, __init__=ignores_the_seed)),
]
