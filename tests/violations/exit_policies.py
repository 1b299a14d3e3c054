"""An correct exit policy, and for each promise one that breaks it alone."""

from __future__ import annotations

import torch
from violations.violating import violating

from distillbench.interfaces import ExitPolicy


def build(self) -> None:
    ExitPolicy.__init__(self)
    self.register_buffer("threshold", torch.tensor(0.5))


def tune(self, logits, labels, frames):
    """Lets half of the videos stop at the first exit."""
    self.threshold.fill_(float(logits[0].sigmoid().amax(1).median()))


def stop(self, logits):
    return logits[-1].sigmoid().amax(1) >= self.threshold


PARTS = {"__init__": build, "tune": tune, "stop": stop}
CORRECT = violating(ExitPolicy, PARTS)


def compares_with_the_batch(self, logits):
    sure = logits[-1].sigmoid().amax(1)
    return sure >= sure.mean()


def builds_without_a_buffer(self) -> None:
    ExitPolicy.__init__(self)
    self.threshold = torch.tensor(0.5)


def clips_in_place(self, logits):
    return logits[-1].clamp_(-3.0, 3.0).sigmoid().amax(1) >= self.threshold


VIOLATIONS = [
    (
        "decides_for_every_video",
        violating(ExitPolicy, PARTS, stop=lambda self, logits: stop(self, logits).float()),
    ),
    ("decides_for_each_video_alone", violating(ExitPolicy, PARTS, stop=compares_with_the_batch)),
    ("its_tuning_is_stored", violating(ExitPolicy, PARTS, __init__=builds_without_a_buffer)),
    ("leaves_logits_as_they_were", violating(ExitPolicy, PARTS, stop=clips_in_place)),
]
