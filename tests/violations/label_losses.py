"""An correct loss on the labels, and for each promise that only such a loss makes one that breaks it alone."""

from __future__ import annotations

from torch.nn.functional import binary_cross_entropy_with_logits
from violations.violating import violating

from distillbench.interfaces import LabelLoss, Requirements


def build(self, context) -> None:
    LabelLoss.__init__(self, context)


def forward(self, output, batch):
    logits = output.logits.float()
    return binary_cross_entropy_with_logits(logits, batch.labels, reduction="sum") / len(logits)


PARTS = {
    "__init__": build,
    "forward": forward,
    "requirements": Requirements(
        frozenset({"labels", "logits"}), claims=frozenset({"batch-mean", "any-width"})
    ),
}
CORRECT = violating(LabelLoss, PARTS)


def wants_small_logits_whatever_the_labels(self, output, batch):
    return output.logits.float().square().sum(1).mean()


def rounds_the_labels(self, output, batch):
    logits, labels = output.logits.float(), (batch.labels > 0.5).float()
    return binary_cross_entropy_with_logits(logits, labels, reduction="sum") / len(logits)


VIOLATIONS = [
    ("counts_labels_in_part", violating(LabelLoss, PARTS, forward=rounds_the_labels)),
    (
        "reads_the_labels",
        violating(LabelLoss, PARTS, forward=wants_small_logits_whatever_the_labels),
    ),
    (
        "reads_the_labels",
        violating(
            LabelLoss,
            PARTS,
            forward=wants_small_logits_whatever_the_labels,
            requirements=Requirements(frozenset({"logits"})),
        ),
    ),
]
