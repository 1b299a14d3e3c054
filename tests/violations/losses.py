"""An correct loss that matches a teacher, and for each promise one that breaks it alone."""

from __future__ import annotations

import torch
from torch import nn
from violations.violating import violating

from distillbench.interfaces import MatchingLoss, Requirements


def build(self, context) -> None:
    MatchingLoss.__init__(self, context)


def rows(self, student, teacher):
    """The squared distance of each video's summary from its teacher's."""
    return (
        (student.encoding.summary.float() - teacher.encoding.summary.detach().float())
        .square()
        .sum(1)
    )


def forward(self, student, teacher, batch):
    return self.rows(student, teacher).mean()


SUMMARY = frozenset({"summary", "equal-widths"})
LOGITS = frozenset({"logits"})
PARTS = {
    "__init__": build,
    "rows": rows,
    "forward": forward,
    "requirements": Requirements(SUMMARY, claims=frozenset({"batch-mean", "least-at-match"})),
}
CORRECT = violating(MatchingLoss, PARTS)
CLAIMS_NOTHING = Requirements(SUMMARY)


def with_a_dimension(self, *given):
    return forward(self, *given).reshape(1)


def without_detaching(self, student, teacher):
    return (student.encoding.summary.float() - teacher.encoding.summary.float()).square().sum(1)


def has_a_spare_weight(self, context) -> None:
    build(self, context)
    self.spare = nn.Parameter(torch.ones(3))


def has_a_scale(self, context) -> None:
    build(self, context)
    self.scale = nn.Parameter(torch.tensor(0.5))


def scaled(self, student, teacher):
    return (
        (self.scale * student.encoding.summary.float() - teacher.encoding.summary.detach().float())
        .square()
        .sum(1)
    )


def gives_no_group(self):
    return []


def sets_its_own_betas(self):
    return [{"params": list(self.parameters()), "betas": (0.5, 0.9)}]


def remembers_beside_its_buffers(self, student, teacher, batch):
    self.calls = getattr(self, "calls", 0) + 1
    return forward(self, student, teacher, batch) * (1 + 1 / self.calls)


def reads_logits_too(self, student, teacher):
    return rows(self, student, teacher) + 0.1 * (
        student.logits - teacher.logits.detach()
    ).float().square().sum(1)


def centres_over_the_batch(self, student, teacher):
    ours, theirs = student.encoding.summary.float(), teacher.encoding.summary.detach().float()
    return ((ours - ours.mean(0)) - (theirs - theirs.mean(0))).square().sum(1)


def sums(self, student, teacher, batch):
    return self.rows(student, teacher).sum()


def weighs_by_place(self, student, teacher, batch):
    each = self.rows(student, teacher)
    return (each * torch.arange(1, len(each) + 1)).mean()


def is_least_elsewhere(self, student, teacher):
    return (
        (student.encoding.summary.float() - 0.9 * teacher.encoding.summary.detach().float())
        .square()
        .sum(1)
    )


def pushes_away(self, student, teacher, batch):
    return -self.rows(student, teacher).mean()


def turns_its_gradient_round(self, student, teacher, batch):
    value = forward(self, student, teacher, batch)
    return 2 * value.detach() - value


def takes_naive_logarithms(self, student, teacher):
    ours, theirs = student.logits.float().sigmoid(), teacher.logits.detach().float().sigmoid()
    return -(theirs * ours.log() + (1 - theirs) * (1 - ours).log()).sum(1)


def clamps_in_low_precision(self, student, teacher):
    ours, theirs = student.logits.sigmoid(), teacher.logits.detach().sigmoid()
    return -(theirs * (ours + 1e-12).log() + (1 - theirs) * (1 - ours + 1e-12).log()).float().sum(1)


def smooths_labels_in_place(self, student, teacher, batch):
    batch.labels.mul_(0.5)
    return forward(self, student, teacher, batch)


def weighs_videos_with_a_label(self, student, teacher, batch):
    return (self.rows(student, teacher) * (1 + (batch.labels[:, 0] > 0.5))).mean()


OF_LABELS = Requirements(SUMMARY | {"labels"}, claims=frozenset({"batch-mean", "least-at-match"}))
ANY_WIDTH = Requirements(
    SUMMARY - {"equal-widths"}, claims=frozenset({"batch-mean", "least-at-match", "any-width"})
)
OF_LOGITS = Requirements(LOGITS, claims=frozenset({"batch-mean", "any-width"}))
SCALED = {"__init__": has_a_scale, "rows": scaled, "requirements": CLAIMS_NOTHING}
VIOLATIONS = [
    ("one_finite_scalar", violating(MatchingLoss, PARTS, forward=with_a_dimension)),
    ("pulls_the_student_alone", violating(MatchingLoss, PARTS, rows=without_detaching)),
    (
        "every_weight_of_its_own_gets_a_gradient",
        violating(MatchingLoss, PARTS, __init__=has_a_spare_weight),
    ),
    (
        "groups_its_weights",
        violating(MatchingLoss, PARTS | SCALED, optimizer_groups=gives_no_group),
    ),
    (
        "groups_its_weights",
        violating(MatchingLoss, PARTS | SCALED, optimizer_groups=sets_its_own_betas),
    ),
    (
        "keeps_its_state_in_buffers",
        violating(MatchingLoss, PARTS, forward=remembers_beside_its_buffers),
    ),
    ("declares_what_it_needs", violating(MatchingLoss, PARTS, rows=reads_logits_too)),
    (
        "compares_videos_only_where_it_says",
        violating(MatchingLoss, PARTS, rows=centres_over_the_batch),
    ),
    ("is_a_mean_over_the_batch", violating(MatchingLoss, PARTS, forward=sums)),
    (
        "order_of_the_batch_does_not_matter",
        violating(MatchingLoss, PARTS, forward=weighs_by_place, requirements=CLAIMS_NOTHING),
    ),
    ("is_least_at_a_match", violating(MatchingLoss, PARTS, rows=is_least_elsewhere)),
    ("widths_may_differ", violating(MatchingLoss, PARTS, requirements=ANY_WIDTH)),
    (
        "descending_brings_the_student_nearer",
        violating(MatchingLoss, PARTS, forward=pushes_away, requirements=CLAIMS_NOTHING),
    ),
    (
        "descending_brings_the_student_nearer",
        violating(MatchingLoss, PARTS, forward=turns_its_gradient_round),
    ),
    (
        "survives_large_logits",
        violating(MatchingLoss, PARTS, rows=takes_naive_logarithms, requirements=OF_LOGITS),
    ),
    (
        "survives_bf16",
        violating(MatchingLoss, PARTS, rows=clamps_in_low_precision, requirements=OF_LOGITS),
    ),
    (
        "counts_labels_in_part",
        violating(MatchingLoss, PARTS, forward=weighs_videos_with_a_label, requirements=OF_LABELS),
    ),
    ("leaves_its_input_as_it_was", violating(MatchingLoss, PARTS, forward=smooths_labels_in_place)),
]
