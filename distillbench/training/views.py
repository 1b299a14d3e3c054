"""Builds the views that choose each network's frames, as a schedule declares them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from distillbench.config.run_spec import Choice, RunSpec
from distillbench.data.batches import Chosen, View
from distillbench.interfaces import FrameSelector, LearnedSelector, Splits, Videos, ViewSpec
from distillbench.seeds import clip_keys, derive


def longest_of(splits: Splits) -> int:
    """Returns the number of frames of a data set's longest video."""
    return max(
        int(videos.lengths.max()) for videos in (splits.train, splits.validation, splits.test)
    )


def selector_of(spec: RunSpec, selector: str | None, *, training: bool) -> Choice:
    """Returns the selector that a setting names; in training `selector` is `train_selector`."""
    name = "train_selector" if training and selector == "selector" else str(selector)
    choice: Choice = getattr(spec, name)
    return choice


def is_learned(spec: RunSpec, selector: str | None, *, training: bool) -> bool:
    """Tells whether the selector that a setting names is a part of the network."""
    return selector_of(spec, selector, training=training).component.kind == "learned-selector"


def view_of(
    spec: RunSpec,
    splits: Splits,
    view_spec: ViewSpec,
    learned: LearnedSelector | None,
    *,
    training: bool,
) -> View | Candidates | RandomK:
    """Builds a view.

    learned: the network's learned selector, whose candidates are read; None if it has none.
    training: whether frames are chosen as in training.
    """
    longest = longest_of(splits)
    if learned is not None:
        k = view_spec.k if isinstance(view_spec.k, int) else longest
        return Candidates(learned, k, spec.seed, training)
    choice = selector_of(spec, view_spec.selector, training=training)
    if isinstance(view_spec.k, tuple):
        return RandomK(choice, view_spec.k, spec.seed)
    slots = view_spec.k or longest
    selector: FrameSelector = choice.build(slots)
    return View(selector, slots, spec.seed, training=training)


@dataclass(frozen=True)
class Candidates:
    """The frames that a learned selector chooses from.

    slots: how many of them it may keep.
    seed, training: as in `View`.
    """

    selector: LearnedSelector
    slots: int
    seed: int
    training: bool

    def index(self, videos: Videos, which: Tensor, epoch: int) -> Tensor:
        """Returns the numbers of the candidates of the videos `which` (B,): (B, M) int64."""
        return self.selector.candidates(videos.lengths[which])

    def chosen(self, videos: Videos, which: Tensor, epoch: int, rows: slice | Tensor) -> Chosen:
        """Chooses the candidates of some rows of the videos, padded as for all of them."""
        own = which[rows]
        index = self.index(videos, which, epoch)[rows]
        ids = [videos.ids[video] for video in own.tolist()]
        # In evaluation the keys leave the epoch out: a clip's choice is always the same.
        purpose = ("train", epoch) if self.training else ("evaluate",)
        keys = clip_keys(ids, self.seed, "selection", *purpose)
        return Chosen(own, index, self.slots, keys)

    def frames_read(self, lengths: Tensor, index: Tensor) -> Tensor:
        """Counts the frames that each video costs, (B,): every candidate is read."""
        return (index >= 0).sum(1)


class RandomK:
    """A view of training whose number of frames is drawn for every batch.

    k: the least and the most frames, both included.
    """

    def __init__(self, choice: Choice, k: tuple[int, int], seed: int) -> None:
        self._least, self._most = k
        self._seed = seed
        self._view = cache(lambda slots: View(choice.build(slots), slots, seed, training=True))

    def chosen(self, videos: Videos, which: Tensor, epoch: int, rows: slice | Tensor) -> Chosen:
        """Draws a number of frames for the batch `which` (B,), then chooses that many."""
        # From the whole batch, not the rows: all processes must draw the same number.
        seed = derive(self._seed, "number of frames", epoch, int(which[0]), len(which))
        generator = torch.Generator().manual_seed(seed)
        slots = int(torch.randint(self._least, self._most + 1, (), generator=generator))
        chosen: Chosen = self._view(slots).chosen(videos, which, epoch, rows)
        return chosen
