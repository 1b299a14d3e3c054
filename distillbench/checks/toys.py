"""Small inputs for the checks, the same at every call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, Encoding, FrameSelector, Outcome, Shapes

WIDTH, CLASSES = 16, 5
STUDENT = Shapes(summary=8, states=6, classes=CLASSES)
OTHER = Shapes(summary=10, states=7, classes=CLASSES)


def clips(lengths: Sequence[int], padded: int = 0, seed: int = 0, width: int = WIDTH) -> Clips:
    """Makes decoded clips of these lengths, padded to the longest and by `padded` frames more.

    A clip's frames depend on its place and on nothing else, so that the same clip can be padded differently.
    """
    slots = max(lengths) + padded
    generators = [torch.Generator().manual_seed(1_000 * seed + place) for place in range(len(lengths))]
    frames = torch.zeros(len(lengths), slots, width)
    for place, (length, generator) in enumerate(zip(lengths, generators, strict=True)):
        frames[place, :length] = nn.functional.normalize(torch.randn(length, width, generator=generator), dim=1)
    counts = torch.tensor(lengths)
    times = torch.arange(slots).expand(len(lengths), -1)
    return Clips(frames, counts, torch.where(times < counts[:, None], times, NO_FRAME), max(lengths))


def rows(batch: Clips, which: Sequence[int]) -> Clips:
    """Takes some clips of a batch, in that order, padded as they were."""
    index = torch.tensor(which)
    return replace(batch, frames=batch.frames[index], lengths=batch.lengths[index], times=batch.times[index])


def generator(places: Sequence[int], seed: int = 0) -> ClipGenerator:
    """Makes the source of chance of the clips at these places."""
    return ClipGenerator(torch.tensor([seed * 7_919 + 104_729 * (place + 1) for place in places]))


def outcomes(videos: int, shapes: Shapes = STUDENT, seed: int = 0, states: int = 4, scale: float = 1.0) -> Outcome:
    """Makes an outcome of random numbers, with states after the frames 0, 1, ... of every video."""
    made = torch.Generator().manual_seed(seed)
    assert shapes.states is not None
    summary = torch.randn(videos, shapes.summary, generator=made) * scale
    after = torch.randn(videos, states, shapes.states, generator=made) * scale
    logits = 2 * torch.randn(videos, shapes.classes, generator=made) * scale
    return Outcome(Encoding(summary, after, torch.arange(states).repeat(videos, 1)), logits)


def labels(videos: int, seed: int = 0) -> Tensor:
    """Makes labels (B, C), at least one a video."""
    made = torch.Generator().manual_seed(100 + seed)
    drawn = (torch.rand(videos, CLASSES, generator=made) < 0.3).float()
    drawn[torch.arange(videos), torch.arange(videos) % CLASSES] = 1.0
    return drawn


def picked(outcome: Outcome, which: Sequence[int]) -> Outcome:
    """Takes some videos of an outcome, in that order."""
    index, e = torch.tensor(which), outcome.encoding
    states = None if e.states is None else e.states[index]
    times = None if e.times is None else e.times[index]
    return Outcome(Encoding(e.summary[index], states, times), outcome.logits[index])


def scanned_by(selector: FrameSelector, batch: Clips, padded: int = 0) -> Clips | None:
    """Returns what a selector scans of whole videos: every `scan_stride`-th frame; None where it scans nothing."""
    stride = selector.scan_stride
    if not stride:
        return None
    slots = -(-batch.frames.shape[1] // stride) + padded
    index = torch.arange(0, slots * stride, stride).expand(len(batch.lengths), -1)
    return batch.take(torch.where(index < batch.lengths[:, None], index, NO_FRAME))
