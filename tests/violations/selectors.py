"""An correct selector, and for each promise one that breaks it alone."""

from __future__ import annotations

import torch
from violations.violating import violating

from distillbench.interfaces import NO_FRAME, FrameSelector


def build(self, k: int) -> None:
    self.k = k


def starts(self, lengths, scanned, generator):
    """Where each video's k neighboring frames begin, as a share of what is left."""
    return generator.rand(1)[:, 0]


def select(self, lengths, scanned, generator, training):
    kept = lengths.clamp_max(self.k)[:, None]
    slots = torch.arange(int(kept.max()))
    spare = lengths[:, None] - kept
    first = (self.starts(lengths, scanned, generator)[:, None] * (spare + 1)).long().minimum(spare)
    return (slots + first).masked_fill(slots >= kept, NO_FRAME)


PARTS = {"__init__": build, "starts": starts, "select": select}
CORRECT = violating(FrameSelector, PARTS)


def in_32_bits(self, *given):
    return select(self, *given).int()


def backwards(self, *given):
    return select(self, *given).sort(1, descending=True).values


def one_too_far(self, lengths, scanned, generator, training):
    kept = lengths.clamp_max(self.k)[:, None]
    slots = torch.arange(int(kept.max()))
    return ((slots + 1) * lengths[:, None] // kept).masked_fill(slots >= kept, NO_FRAME)


def three_at_most(self, *given):
    return select(self, *given)[:, :3]


def asks_torch(self, lengths, scanned, generator):
    return torch.rand(()).double().expand(len(lengths))


def looks_at_the_shortest(self, lengths, scanned, generator):
    return (lengths.min() / lengths.max()).double().expand(len(lengths))


def counts_its_calls(self, lengths, scanned, generator):
    self.asked = getattr(self, "asked", -1) + 1
    return torch.full((len(lengths),), min(0.3 * self.asked, 1.0), dtype=torch.float64)


def averages_over_padding(self, lengths, scanned, generator):
    return (scanned.frames.square().mean((1, 2)) * 1e3).double() % 1


def peeks(self, lengths, scanned, generator):
    return torch.full((len(lengths),), 0.0 if scanned is None else 0.9, dtype=torch.float64)


def shortens_videos(self, lengths, *given):
    chosen = select(self, lengths, *given)
    lengths.sub_(1)
    return chosen


def with_an_untold_knob(self, k: int, *, spread: int = 1) -> None:
    self.k = k


def with_an_untyped_knob(self, k: int, *, spread=1) -> None:
    self.k = k


def with_a_default_of_another_type(self, k: int, *, spread: int = "1") -> None:
    self.k = k


def with_a_default_that_fails(self, k: int, *, spread: int = 0) -> None:
    if not spread:
        raise ValueError("spread must be above 0")
    self.k = k


TOLD = "Violates one promise.\n\nKnobs:\n    spread: how far.\n"
VIOLATIONS = [
    ("returns_frame_numbers", violating(FrameSelector, PARTS, select=in_32_bits)),
    ("ascends", violating(FrameSelector, PARTS, select=backwards)),
    ("stays_within_the_video", violating(FrameSelector, PARTS, select=one_too_far)),
    ("keeps_what_it_says", violating(FrameSelector, PARTS, select=three_at_most)),
    ("keeps_what_it_says", violating(FrameSelector, PARTS, keeps="all")),
    ("uses_the_given_generator_alone", violating(FrameSelector, PARTS, starts=asks_torch)),
    (
        "chooses_for_each_clip_separately",
        violating(FrameSelector, PARTS, starts=looks_at_the_shortest),
    ),
    ("remembers_nothing", violating(FrameSelector, PARTS, starts=counts_its_calls)),
    (
        "padding_is_not_looked_at",
        violating(FrameSelector, PARTS, starts=averages_over_padding, scan_stride=5),
    ),
    ("reads_what_it_declares", violating(FrameSelector, PARTS, starts=peeks)),
    ("leaves_its_input_as_it_was", violating(FrameSelector, PARTS, select=shortens_videos)),
    ("says_what_it_is", violating(FrameSelector, PARTS, __doc__=None)),
    ("explains_its_knobs", violating(FrameSelector, PARTS, __init__=with_an_untold_knob)),
    (
        "types_and_defaults_its_knobs",
        violating(FrameSelector, PARTS, __init__=with_an_untyped_knob, __doc__=TOLD),
    ),
    (
        "types_and_defaults_its_knobs",
        violating(FrameSelector, PARTS, __init__=with_a_default_of_another_type, __doc__=TOLD),
    ),
    (
        "builds_from_its_defaults",
        violating(
            FrameSelector,
            PARTS,
            __init__=with_a_default_that_fails,
            __doc__=TOLD,
            check_knobs={"spread": 1},
        ),
    ),
    ("is_final_and_one_level_deep", violating(violating(FrameSelector, PARTS), {})),
]
