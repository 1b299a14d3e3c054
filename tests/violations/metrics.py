"""An correct metric, and for each promise one that breaks it alone."""

from __future__ import annotations

import numpy as np
from violations.violating import violating

from distillbench.interfaces import Metric


def build(self) -> None:
    pass


def compute(self, predictions):
    return float(predictions.hits[:, 0].mean())


def influence(self, predictions):
    hits = predictions.hits[:, 0].astype(float)
    return (hits - hits.mean()) / len(hits)


PARTS = {"__init__": build, "compute": compute, "influence": influence, "title": "correct"}
CORRECT = violating(Metric, PARTS)


def nothing(self, predictions):
    return None


def writes_words(self, predictions):
    return compute(self, predictions) if len(predictions) > 1 else "no idea"


def counts_its_calls(self, predictions):
    self.asked = getattr(self, "asked", 0) + 1
    return compute(self, predictions) + 1e-6 * self.asked


def sorts_in_place(self, predictions):
    value = compute(self, predictions)
    predictions.scores.sort(1)
    return value


def weighs_the_first_more(self, predictions):
    return 0.9 * compute(self, predictions) + 0.1 * float(
        predictions.hits[: 1 + len(predictions) // 5, 0].mean()
    )


def reads_every_score(self, predictions):
    return None if predictions.batches is None else compute(self, predictions)


def adds_one(self, predictions):
    return influence(self, predictions) + 1.0 / len(predictions)


def points_the_other_way(self, predictions):
    return -influence(self, predictions)


def draws(self) -> None:
    self.noise = np.random.default_rng().random() * 1e-12


def adds_noise(self, predictions):
    return compute(self, predictions) + self.noise


VIOLATIONS = [
    ("is_a_finite_number", violating(Metric, PARTS, compute=writes_words)),
    ("is_pure", violating(Metric, PARTS, compute=counts_its_calls)),
    ("leaves_its_input_alone", violating(Metric, PARTS, compute=sorts_in_place)),
    (
        "the_order_of_videos_does_not_matter",
        violating(Metric, PARTS, compute=weighs_the_first_more, influence=nothing),
    ),
    ("being_right_is_best", violating(Metric, PARTS, higher_is_better=False)),
    ("needs_no_more_than_it_says", violating(Metric, PARTS, compute=reads_every_score)),
    ("influence_sums_to_0", violating(Metric, PARTS, influence=adds_one)),
    (
        "influence_is_what_leaving_out_changes",
        violating(Metric, PARTS, influence=points_the_other_way),
    ),
    ("same_seed_same_component", violating(Metric, PARTS, __init__=draws, compute=adds_noise)),
]
