"""What a data set promises.

One with a knob `dir` is shown `--data-dir`, else small shards in YouTube-8M's layout.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench.interfaces import NO_FRAME, Splits, Videos
from distillbench.testing.cached_data import opened, own_cache, with_data
from distillbench.testing.promises import Subject, expect, seeded
from distillbench.testing.settings import problems_of

NAMES = ("train", "validation", "test")
LOOKED_AT = 24  # videos of a split that are read


def _opened(subject: Subject) -> Splits:
    with own_cache(), seeded(0):
        return opened(subject, with_data(subject))


def _each(subject: Subject) -> list[tuple[str, Videos]]:
    splits = _opened(subject)
    return [(name, getattr(splits, name)) for name in NAMES]


def _some(videos: Videos) -> Tensor:
    return torch.arange(min(len(videos), LOOKED_AT))


def splits_are_disjoint(subject: Subject) -> None:
    """No id is in two splits or twice in one, and no split is empty."""
    seen: dict[str, str] = {}
    for name, videos in _each(subject):
        expect(len(videos), f"no video in {name}")
        expect(
            len(videos.ids) == len(videos),
            f"{len(videos.ids)} ids for {len(videos)} videos in {name}",
        )
        for number in range(len(videos)):
            taken = seen.setdefault(str(videos.ids[number]), f"{name} {number}")
            expect(
                taken == f"{name} {number}", f"{videos.ids[number]} is {taken} and {name} {number}"
            )


def splits_fit_together(subject: Subject) -> None:
    """The three splits have the same features, classes and decoding."""
    first, *others = (videos for _, videos in _each(subject))
    for videos in others:
        expect(list(videos.features.items()) == list(first.features.items()), "features differ")
        expect(
            videos.labels.count == first.labels.count,
            f"{first.labels.count} and {videos.labels.count} classes",
        )
        expect(videos.codec == first.codec, "codecs differ")


def lengths_are_true(subject: Subject) -> None:
    """Every video has at least one frame, and its last frame can be read and is not blank."""
    for name, videos in _each(subject):
        lengths = videos.lengths
        expect(
            lengths.dtype == torch.int64 and lengths.dim() == 1,
            f"{name}: lengths of {lengths.dtype}",
        )
        expect(int(lengths.min()) >= 1, f"{name}: a video of {int(lengths.min())} frames")
        which = _some(videos)
        last = videos.read(which, lengths[which, None] - 1)
        first = videos.read(which, torch.zeros(len(which), 1, dtype=torch.int64))
        blank = (
            ((last == 0).flatten(1).all(1) & ~(first == 0).flatten(1).all(1))
            .nonzero()
            .flatten()
            .tolist()
        )
        blanks = [
            f"{videos.ids[video]}: frame {int(lengths[video]) - 1} of {int(lengths[video])}"
            for video in blank
        ]
        expect(not blank, f"{name}: blank where its last frame should be: {', '.join(blanks[:3])}")


def frames_asked_for_are_the_frames_given(subject: Subject) -> None:
    """It reads the requested frames, in their order, into the given buffer.

    A row is zero for `NO_FRAME`.
    """
    for name, videos in _each(subject):
        which = _some(videos)
        longest = int(videos.lengths[which].max())
        every = torch.arange(longest).expand(len(which), -1)
        every = torch.where(every < videos.lengths[which, None], every, NO_FRAME)
        whole = videos.read(which, every)
        expect(
            whole.shape == (*every.shape, videos.width),
            f"{name}: {tuple(whole.shape)} of width {videos.width}",
        )
        expect(not whole[every == NO_FRAME].any(), f"{name}: numbers where no frame was requested")
        last = videos.lengths[which] - 1
        requested = torch.stack([last // 2, last, torch.full_like(last, NO_FRAME)], 1)
        expected = whole.gather(1, requested.clamp_min(0)[:, :, None].expand(-1, -1, videos.width))
        expected = expected * (requested >= 0)[:, :, None].to(expected.dtype)
        expect(
            torch.equal(videos.read(which, requested), expected),
            f"{name}: other frames, read alone, than among all",
        )
        buffer = torch.full_like(expected, 7)
        given = videos.read(which, requested, buffer)
        filled = given is buffer and torch.equal(buffer, expected)
        expect(filled, f"{name}: the buffer was not filled and returned")


def classes_are_within_range(subject: Subject) -> None:
    """Every label is a class that there is, and there are as many names as classes, if any."""
    for name, videos in _each(subject):
        labels = videos.labels
        shape = len(labels.offsets), int(labels.offsets[0]), int(labels.offsets[-1])
        expect(
            shape == (len(videos) + 1, 0, len(labels.classes)),
            f"{name}: offsets {shape} for {len(videos)} videos",
        )
        expect((labels.offsets.diff() >= 0).all(), f"{name}: offsets that fall")
        if len(labels.classes):
            least, most = int(labels.classes.min()), int(labels.classes.max())
            expect(
                least >= 0 and most < labels.count,
                f"{name}: classes {least} to {most} of {labels.count}",
            )
        named = None if videos.class_names is None else len(videos.class_names)
        expect(named in (None, labels.count), f"{name}: {named} names for {labels.count} classes")


def two_opens_agree(subject: Subject) -> None:
    """Opened twice it holds the same videos, whatever the random state."""
    both = []
    with own_cache():
        dataset = with_data(subject)
        for seed in (1, 2):
            with seeded(seed):
                both.append(opened(subject, dataset))
    for name in NAMES:
        first, second = (getattr(splits, name) for splits in both)
        expect(list(first.ids) == list(second.ids), f"{name}: other ids")
        expect(torch.equal(first.lengths, second.lengths), f"{name}: other lengths")
        expect(torch.equal(first.labels.classes, second.labels.classes), f"{name}: other labels")
        expect(
            first.fingerprint == second.fingerprint,
            f"{name}: {first.fingerprint} and then {second.fingerprint}",
        )
        which = _some(first)
        frames = torch.zeros(len(which), 1, dtype=torch.int64)
        expect(
            torch.equal(first.read(which, frames), second.read(which, frames)),
            f"{name}: other frames",
        )


def its_recipe_is_understood(subject: Subject) -> None:
    """Everything its recipe sets is a setting that runs have, with a value of the right type."""
    wrong = problems_of(getattr(subject.cls, "recipe", {}), "recipe")
    expect(not wrong, "; ".join(wrong))


GIVEN: tuple[object, ...] = ()
"""The positional constructor arguments of a component."""

CHECKS = (
    splits_are_disjoint,
    splits_fit_together,
    lengths_are_true,
    frames_asked_for_are_the_frames_given,
    classes_are_within_range,
    two_opens_agree,
    its_recipe_is_understood,
)
