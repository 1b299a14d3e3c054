"""What a frame selector promises.

How many frames it keeps is its class attribute `keeps`: `k` (the default), `at most k`,
or `all`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from distillbench.interfaces import NO_FRAME, FrameSelector
from distillbench.testing import toys
from distillbench.testing.promises import Subject, expect, seeded

LENGTHS = (60, 23, 9, 41)
SHORT = (1, 3, 60)
COUNTS = (5, 1, 7)


def _choose(
    subject: Subject,
    lengths: Sequence[int] = LENGTHS,
    *,
    k: int = 5,
    places: Sequence[int] | None = None,
    training: bool = True,
    padded: int = 0,
    seed: int = 1,
) -> Tensor:
    """Selects frames of the clips at these places (all by default) with a new selector."""
    selector: FrameSelector = subject.build(k)
    which = list(range(len(lengths)) if places is None else places)
    batch = toys.rows(toys.clips(lengths), which)
    with seeded(seed):
        scanned = toys.scanned_by(selector, batch, padded)
        return selector.select(batch.lengths, scanned, toys.generator(which), training)


def _kept(row: Tensor) -> list[int]:
    numbers: list[int] = row[row != NO_FRAME].tolist()
    return numbers


def returns_frame_numbers(subject: Subject) -> None:
    """It returns int64 (B, S) on the CPU, `NO_FRAME` at the end of a row alone."""
    for k in COUNTS:
        index = _choose(subject, k=k)
        expect(index.dtype == torch.int64, f"{index.dtype}")
        expect(
            index.dim() == 2 and len(index) == len(LENGTHS),
            f"{tuple(index.shape)} for {len(LENGTHS)} videos",
        )
        for row in index:
            kept = len(_kept(row))
            expect((row[:kept] != NO_FRAME).all(), f"{row.tolist()}")


def ascends(subject: Subject) -> None:
    """Frame numbers ascend, none twice."""
    for k in COUNTS:
        for row in _choose(subject, k=k):
            kept = _kept(row)
            expect(kept == sorted(set(kept)), f"{kept}")


def stays_within_the_video(subject: Subject) -> None:
    """Every frame number is one of the video's, and every video has one.

    Videos have 1, 3 and 60 frames.
    """
    for k in COUNTS:
        for row, length in zip(_choose(subject, SHORT, k=k), SHORT, strict=True):
            kept = _kept(row)
            expect(
                kept and min(kept) >= 0 and max(kept) < length,
                f"frames {kept} of a video of {length}, k = {k}",
            )


def keeps_what_it_says(subject: Subject) -> None:
    """It keeps k frames, or all of a shorter video, unless `keeps` declares otherwise.

    `keeps = "at most k"`: from 1 to k. `keeps = "all"`: every frame, whatever k is.
    """
    keeps: str = getattr(subject.cls, "keeps", "k")
    for k in COUNTS:
        for row, length in zip(_choose(subject, (*LENGTHS, 3), k=k), (*LENGTHS, 3), strict=True):
            count = len(_kept(row))
            most = length if keeps == "all" else min(k, length)
            least = 1 if keeps == "at most k" else most
            expect(
                least <= count <= most,
                f"{count} frames of a video of {length}, k = {k}; its `keeps` is {keeps}",
            )


def uses_the_given_generator_alone(subject: Subject) -> None:
    """Chance comes from the given generator alone: no global random state is read or moved."""
    for training in (True, False):
        first, second = (_choose(subject, seed=seed, training=training) for seed in (1, 2))
        expect(torch.equal(first, second), "another choice for another global random state")
        selector = subject.build(5)
        batch = toys.clips(LENGTHS)
        with seeded(1):
            before = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
            selector.select(
                batch.lengths, toys.scanned_by(selector, batch), toys.generator(range(4)), training
            )
            expect(torch.equal(torch.get_rng_state(), before[0]), "torch's random state was moved")
            expect(random.getstate() == before[1], "Python's random state was moved")
            expect(str(np.random.get_state()) == before[2], "numpy's random state was moved")


def chooses_for_each_clip_separately(subject: Subject) -> None:
    """A video's frames are the same alone as in a batch, in training and in evaluation."""
    for training in (True, False):
        together = _choose(subject, training=training)
        for place in range(len(LENGTHS)):
            alone = _choose(subject, places=[place], training=training)
            ours, theirs = _kept(alone[0]), _kept(together[place])
            expect(ours == theirs, f"video {place}: {ours} alone and {theirs} in a batch")


def remembers_nothing(subject: Subject) -> None:
    """With the same draws it makes the same choice a second time."""
    selector: FrameSelector = subject.build(5)
    batch = toys.clips(LENGTHS)
    chosen = []
    for _ in range(2):
        scanned = toys.scanned_by(selector, batch)
        with seeded(1):
            chosen.append(
                selector.select(batch.lengths.clone(), scanned, toys.generator(range(4)), True)
            )
    expect(torch.equal(*chosen), f"{chosen[0].tolist()} and then {chosen[1].tolist()}")


def padding_is_not_looked_at(subject: Subject) -> None:
    """How far scanned frames are padded does not change the choice."""
    ours, theirs = _choose(subject), _choose(subject, padded=9)
    for place in range(len(LENGTHS)):
        kept, padded = _kept(ours[place]), _kept(theirs[place])
        expect(kept == padded, f"video {place}: {kept}, and {padded} with more padding")


def reads_what_it_declares(subject: Subject) -> None:
    """It declares in `scan_stride` what it must see before it chooses, and reads no more."""
    stride = subject.build(5).scan_stride
    expect(isinstance(stride, int) and stride >= 0, f"scan_stride = {stride!r}")
    if stride:
        return
    batch = toys.clips(LENGTHS)
    plain = _choose(subject)
    with seeded(1):
        shown = subject.build(5).select(batch.lengths, batch, toys.generator(range(4)), True)
    expect(
        torch.equal(shown, plain), "another choice when it is shown frames, with scan_stride = 0"
    )


def leaves_its_input_as_it_was(subject: Subject) -> None:
    """It changes neither the lengths nor the frames that it is given."""
    selector: FrameSelector = subject.build(5)
    batch = toys.clips(LENGTHS)
    scanned = toys.scanned_by(selector, batch)
    copy = None if scanned is None else replace(scanned, frames=scanned.frames.clone())
    selector.select(batch.lengths, scanned, toys.generator(range(4)), True)
    expect(
        batch.lengths.tolist() == list(LENGTHS),
        f"lengths {batch.lengths.tolist()}, which were {list(LENGTHS)}",
    )
    if scanned is not None and copy is not None:
        expect(torch.equal(scanned.frames, copy.frames), "other frames than before")


GIVEN: tuple[object, ...] = (5,)
"""The positional constructor arguments of a component."""

CHECKS = (
    returns_frame_numbers,
    ascends,
    stays_within_the_video,
    keeps_what_it_says,
    uses_the_given_generator_alone,
    chooses_for_each_clip_separately,
    remembers_nothing,
    padding_is_not_looked_at,
    reads_what_it_declares,
    leaves_its_input_as_it_was,
)
