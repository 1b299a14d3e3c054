"""How frames are chosen: before anything is read, or by a part of the network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from distillbench.interfaces.clip_generator import ClipGenerator
from distillbench.interfaces.clips import Clips

Keeps = Literal["k", "at most k", "all"]


class FrameSelector(ABC):
    """Chooses frames before anything is read.

    `__init__(self, k, *, knobs)`: k >= 1 is how many it may keep.

    scan_stride: 0 for a selector that needs nothing but lengths; s for one that must first see
        every s-th frame, which is then read for it and counted as its cost.
    keeps: how many frames of a video that has k or more it keeps.
    """

    scan_stride: int = 0
    keeps: ClassVar[Keeps] = "k"

    @abstractmethod
    def select(
        self, lengths: Tensor, scanned: Clips | None, generator: ClipGenerator, training: bool
    ) -> Tensor:
        """Returns the numbers of the frames to keep.

        (B, S) int64, strictly ascending, `NO_FRAME` at a row's end.

        lengths: (B,) int64, the frames each video has.
        scanned: decoded, every `scan_stride`-th frame; None where that is 0.
        generator: the only source of chance.
        training: a selector may differ in training and in evaluation. A video of at most k frames
        keeps them all, unless the selector's documentation has another rule.
        """


@dataclass(frozen=True)
class Selection:
    """What a learned selector chose of its candidates.

    index: (B, S) int64 positions within the candidates, on their device, strictly ascending,
        `NO_FRAME` at a row's end.
    weights: (B, S), by which the encoder's frames are multiplied; a gradient reaches the selector
        through them. None for ones.
    log_prob: (B,), the logarithm of the probability of the choice, for a policy gradient.
    scores: (B, M), finite, how much each candidate is wanted, for losses that teach them; what
        padding has is not read.
    baseline: (B, S') positions of another choice, like `index`: while the network trains it
        classifies that choice too, without a gradient, for `Output.baseline`.
    times: (B, M) int64 on the CPU, the candidates' numbers within the video; the network fills them
        in.
    """

    index: Tensor
    weights: Tensor | None = None
    log_prob: Tensor | None = None
    scores: Tensor | None = None
    baseline: Tensor | None = None
    times: Tensor | None = None


class LearnedSelector(nn.Module, ABC):
    """A part of the network that chooses frames: trained, stored and counted with it.

    Offered by the hook `learned_selectors`, by a name that `--selector` takes. `__init__(self,
    width, k, *, knobs)`: width is D of what it reads, k >= 1 is how many frames it may keep. It
    pays for every frame that it reads, in frames, bytes, multiply-accumulates and time.

    reads: the names of the features that it reads, which may be cheaper than those that the encoder
        needs; empty for all.
    """

    reads: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def candidates(self, lengths: Tensor) -> Tensor:
        """Returns the numbers of the frames that are read for it.

        (B, M) int64, ascending, `NO_FRAME` at the end.
        """

    @abstractmethod
    def forward(self, candidates: Clips, generator: ClipGenerator) -> Selection:
        """Chooses at most k of the candidates, decoded, (B, M, D).

        generator: the only source of chance, the same for a clip however many processes share the
        batch. In evaluation (`self.training` is False) the choice is a function of the clip alone.
        """
