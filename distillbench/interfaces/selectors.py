"""How frames are chosen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from torch import Tensor

from distillbench.interfaces.clip_generator import ClipGenerator
from distillbench.interfaces.clips import Clips

Keeps = Literal["k", "at most k", "all"]


class FrameSelector(ABC):
    """Chooses frames before anything is read. `__init__(self, k, *, knobs)`: k >= 1 is how many it may keep.

    scan_stride: 0 for a selector that needs nothing but lengths; s for one that must first see every s-th frame, which
        is then read for it and counted as its cost.
    keeps: how many frames of a video that has k or more it keeps.
    """

    scan_stride: int = 0
    keeps: ClassVar[Keeps] = "k"

    @abstractmethod
    def select(self, lengths: Tensor, scanned: Clips | None, generator: ClipGenerator, training: bool) -> Tensor:
        """Returns the numbers of the frames to keep: (B, S) int64, strictly ascending, `NO_FRAME` at a row's end.

        lengths: (B,) int64, the frames each video has. scanned: decoded, every `scan_stride`-th frame; None where that
        is 0. generator: the only source of chance. training: a selector may differ in training and in evaluation.
        A video of at most k frames keeps them all, unless the selector's documentation says otherwise.
        """
