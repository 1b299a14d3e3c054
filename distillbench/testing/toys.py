"""Small inputs for the checks, the same at every call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from distillbench.interfaces import (
    NO_FRAME,
    ClipGenerator,
    Clips,
    Encoding,
    FrameSelector,
    LossBatch,
    LossContext,
    Objective,
    Output,
    Selection,
    Shapes,
    States,
)

WIDTH, CLASSES = 16, 5
STUDENT = Shapes(summary=8, states={"layer": 6}, classes=CLASSES)
OTHER = Shapes(summary=10, states={"layer": 7}, classes=CLASSES)
TRAINING_VIDEOS = 40
POSITIVES = (20, 10, 5, 1, 0)
ON_LABELS = LossContext(STUDENT, None, TRAINING_VIDEOS, POSITIVES)
MATCHING = LossContext(STUDENT, STUDENT, TRAINING_VIDEOS, POSITIVES)
LOSSES = ("on-labels", "matching-encodings", "matching-predictions")
"""The losses that toy objectives name.

One on the labels, one that trains no head, one that does.
"""


def objective(**weights: float) -> Objective:
    """Makes an objective of toy losses, by name with `_` for `-`."""
    named = {name.replace("_", "-"): weight for name, weight in weights.items()}
    compares = frozenset(named) & set(LOSSES[1:])
    return Objective(named, compares, LOSSES[0], bool(named.keys() & {LOSSES[0], LOSSES[2]}))


def clips(lengths: Sequence[int], padded: int = 0, seed: int = 0, width: int = WIDTH) -> Clips:
    """Makes decoded clips of these lengths, padded to the longest and by `padded` frames more.

    A clip's frames depend on its place and on nothing else, so that the same clip can be padded
    differently.
    """
    slots = max(lengths) + padded
    generators = [
        torch.Generator().manual_seed(1_000 * seed + place) for place in range(len(lengths))
    ]
    frames = torch.zeros(len(lengths), slots, width)
    for place, (length, generator) in enumerate(zip(lengths, generators, strict=True)):
        frames[place, :length] = nn.functional.normalize(
            torch.randn(length, width, generator=generator), dim=1
        )
    counts = torch.tensor(lengths)
    times = torch.arange(slots).expand(len(lengths), -1)
    return Clips(
        frames, counts, torch.where(times < counts[:, None], times, NO_FRAME), max(lengths)
    )


def rows(batch: Clips, which: Sequence[int]) -> Clips:
    """Takes some clips of a batch, in that order, padded as they were."""
    index = torch.tensor(which)
    return replace(
        batch, frames=batch.frames[index], lengths=batch.lengths[index], times=batch.times[index]
    )


def generator(places: Sequence[int], seed: int = 0) -> ClipGenerator:
    """Makes the source of chance of the clips at these places."""
    return ClipGenerator(torch.tensor([seed * 7_919 + 104_729 * (place + 1) for place in places]))


def outputs(
    videos: int, shapes: Shapes = STUDENT, seed: int = 0, states: int = 4, scale: float = 1.0
) -> Output:
    """Makes an output of random numbers, with states after the frames 0, 1, ... of every video."""
    made = torch.Generator().manual_seed(seed)
    summary = torch.randn(videos, shapes.summary, generator=made) * scale
    times = torch.arange(states).repeat(videos, 1)
    after = {
        name: States(torch.randn(videos, states, width, generator=made) * scale, times)
        for name, width in shapes.states.items()
    }
    logits = 2 * torch.randn(videos, shapes.classes, generator=made) * scale
    exits = tuple(2 * torch.randn(videos, shapes.classes, generator=made) * scale for _ in range(2))
    weights = torch.rand(videos, states, generator=made)
    log_prob = -torch.rand(videos, generator=made)
    scores = torch.randn(videos, states, generator=made) * scale
    each = 2 * torch.randn(videos, states, shapes.classes, generator=made) * scale
    baseline = 2 * torch.randn(videos, shapes.classes, generator=made) * scale
    return Output(
        Encoding(summary, after),
        logits,
        exits=exits,
        selection=Selection(times, weights, log_prob, scores, times, times),
        baseline=baseline,
        frame_logits=States(each, times),
    )


def labels(videos: int, seed: int = 0) -> Tensor:
    """Makes labels (B, C), at least one a video."""
    made = torch.Generator().manual_seed(100 + seed)
    drawn = (torch.rand(videos, CLASSES, generator=made) < 0.3).float()
    drawn[torch.arange(videos), torch.arange(videos) % CLASSES] = 1.0
    return drawn


def batch(videos: int, seed: int = 0) -> LossBatch:
    """Makes what a loss knows of a batch.

    Labels, and numbers of videos within the training split.
    """
    return LossBatch(labels(videos, seed), 3 * torch.arange(videos), 0.5)


def picked(output: Output, which: Sequence[int]) -> Output:
    """Takes some videos of an output, in that order."""
    return mapped(output, lambda part: part[torch.tensor(which)])


def parts(output: Output) -> dict[str, list[Tensor]]:
    """Lists the tensors of an output that a loss may read, by the need that names them."""
    chosen, each = output.selection, output.frame_logits
    selected = [] if chosen is None else [chosen.weights, chosen.log_prob, chosen.scores]
    return {
        "logits": [output.logits],
        "summary": [output.encoding.summary],
        "states": [states.values for states in output.encoding.states.values()],
        "exits": list(output.exits),
        "selection": [part for part in (*selected, output.baseline) if part is not None],
        "frame-logits": [] if each is None else [each.values],
    }


def mapped(
    output: Output, change: Callable[[Tensor], Tensor], *, only: Collection[str] = ()
) -> Output:
    """Changes every tensor of an output with a row a video, or those of some needs alone.

    Times and index too, if all.
    """

    def of(need: str, value: Tensor) -> Tensor:
        return change(value) if not only or need in only else value

    def selected(value: Tensor | None) -> Tensor | None:
        return None if value is None else of("selection", value)

    def numbers(value: Tensor) -> Tensor:
        return value if only else change(value)

    def after(need: str, found: States) -> States:
        return States(of(need, found.values), numbers(found.times))

    e, chosen, each = output.encoding, output.selection, output.frame_logits
    states = {name: after("states", found) for name, found in e.states.items()}
    if chosen is not None:
        chosen = Selection(
            numbers(chosen.index),
            selected(chosen.weights),
            selected(chosen.log_prob),
            selected(chosen.scores),
            None if chosen.baseline is None else numbers(chosen.baseline),
            None if chosen.times is None else numbers(chosen.times),
        )
    return Output(
        Encoding(of("summary", e.summary), states),
        of("logits", output.logits),
        exits=tuple(of("exits", logits) for logits in output.exits),
        selection=chosen,
        baseline=selected(output.baseline),
        frame_logits=None if each is None else after("frame-logits", each),
    )


def combined(first: Output, second: Output, join: Callable[[Tensor, Tensor], Tensor]) -> Output:
    """Joins the tensors of two outputs of the same make, pair by pair."""
    others = iter([value for values in parts(second).values() for value in values])
    pairs = {id(value): next(others) for values in parts(first).values() for value in values}
    pairs |= {
        id(value): other for value, other in zip(_numbers(first), _numbers(second), strict=True)
    }
    return mapped(first, lambda part: join(part, pairs[id(part)]))


def _numbers(output: Output) -> list[Tensor]:
    """Lists the times of the states and of single frames, and the places of a selection."""
    chosen, each = output.selection, output.frame_logits
    found: list[Tensor | None] = [states.times for states in output.encoding.states.values()]
    found += [] if chosen is None else [chosen.index, chosen.baseline, chosen.times]
    found += [] if each is None else [each.times]
    return [numbers for numbers in found if numbers is not None]


def scanned_by(selector: FrameSelector, batch: Clips, padded: int = 0) -> Clips | None:
    """Returns what a selector scans of whole videos: every `scan_stride`-th frame.

    None where it scans nothing.
    """
    stride = selector.scan_stride
    if not stride:
        return None
    slots = -(-batch.frames.shape[1] // stride) + padded
    index = torch.arange(0, slots * stride, stride).expand(len(batch.lengths), -1)
    return batch.take(torch.where(index < batch.lengths[:, None], index, NO_FRAME))
