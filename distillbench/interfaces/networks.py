"""What an encoder and a head are, and what they return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from distillbench.interfaces.clips import Clips


@dataclass(frozen=True)
class Encoding:
    """What an encoder makes of B clips.

    summary: (B, E), the encoding of the whole video.
    states: (B, T', W), the state after each of some frames, or None where the encoder was not asked or has none.
    times: (B, T') int64 on the CPU, the number of the frame each state follows, `NO_FRAME` where padded; None
        exactly where states is.
    """

    summary: Tensor
    states: Tensor | None = None
    times: Tensor | None = None


@dataclass(frozen=True)
class Outcome:
    """What a matching loss compares: an encoding and the logits (B, C) that the head made of it."""

    encoding: Encoding
    logits: Tensor


@dataclass(frozen=True)
class Shapes:
    """The widths of a network, known before any batch: summary E, states W (None: the encoder has none), classes C."""

    summary: int
    states: int | None
    classes: int


class Encoder(nn.Module, ABC):
    """Turns clips into one encoding a video. Offered by the hooks `teacher_encoders` and `student_encoders`.

    `__init__(self, width, *, knobs)`: width is D. A clip's encoding depends on that clip's real frames alone.

    An encoder that has states makes them only while `keeps_states` is set, which the framework does when a loss needs
    them. An encoder may offer `published_macs(frames, width) -> int`: what a paper's own convention would count for
    one video, width being that of the first (visual) feature; it is reported beside the full count. A module within it
    whose products are not `nn.Linear`, `nn.LSTM` or `nn.GRU` takes part in quantisation if it offers
    `with_linears() -> nn.Module`, an equal module for inference made of `nn.Linear`s.
    """

    keeps_states: bool = False

    @abstractmethod
    def forward(self, clips: Clips) -> Encoding:
        """Encodes decoded clips: frames (B, T, D) floating point."""


class Head(nn.Module, ABC):
    """Turns encodings into logits. `__init__(self, width, classes, *, knobs)`: width is E, classes is C.

    The logit is log p - log(1 - p) whatever the head computes inside, so that every loss and metric reads one currency.
    """

    @abstractmethod
    def forward(self, summary: Tensor) -> Tensor:
        """Returns the logits (B, C) of summaries (B, E)."""
