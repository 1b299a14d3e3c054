"""What a network is made of, an encoder and a head, and what they return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from distillbench.interfaces.clips import Clips
from distillbench.interfaces.selectors import Selection


@dataclass(frozen=True)
class States:
    """The states of one layer of an encoder, after each of some frames of B clips.

    values: (B, T', W).
    times: (B, T') int64 on the CPU, the number of the frame that each state follows; `NO_FRAME`
        where padded.
    """

    values: Tensor
    times: Tensor


@dataclass(frozen=True)
class Encoding:
    """What an encoder makes of B clips.

    summary: (B, E), the encoding of the whole video.
    states: by the name of a layer; empty where they were not requested or there are none.
    exits: summaries (B, E) after each exit but the last, of an encoder that may stop early.
    """

    summary: Tensor
    states: Mapping[str, States] = field(default_factory=dict)
    exits: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Output:
    """What a network makes of B clips, which is what losses read.

    logits: (B, C).
    used: (B,) int64 on the CPU, frames that were consumed; None where all that were shown.
    exits: logits (B, C) after each exit but the last, of an encoder that may stop early.
    selection: what a learned selector of the network chose, its index on the CPU, and how sure it
    was.
    baseline: logits (B, C) of the selection's baseline, without gradient; only while training.
    frame_logits: of a teacher whose loss needs them, the logits (B, T, C) of each frame of its
    clips alone.
    """

    encoding: Encoding
    logits: Tensor
    used: Tensor | None = None
    exits: tuple[Tensor, ...] = ()
    selection: Selection | None = None
    baseline: Tensor | None = None
    frame_logits: States | None = None


@dataclass(frozen=True)
class Shapes:
    """The widths of a network, known before any batch.

    summary: E.
    states: W of each layer whose states the encoder has.
    classes: C.
    """

    summary: int
    states: Mapping[str, int]
    classes: int


class Encoder(nn.Module, ABC):
    """Turns clips into one encoding a video.

    Offered by the hooks `teacher_encoders` and `student_encoders`.

    `__init__(self, width, *, knobs)`: width is D. A clip's encoding depends on that clip's real
    frames alone.

    An encoder may offer `published_macs(frames, width) -> int`: what a paper's own convention would
    count for one video, width being that of the first (visual) feature; it is reported beside the
    full count. A module within it whose products are not `nn.Linear`, `nn.LSTM` or `nn.GRU` takes
    part in quantization if it offers `with_linears() -> nn.Module`, an equal module for inference
    made of `nn.Linear`s. One whose shapes depend on the values of its inputs, such as the lengths
    of videos, can be exported if it offers `with_static_shapes() -> nn.Module`, an equal module for
    inference whose shapes depend on those of its inputs alone.
    """

    @abstractmethod
    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes decoded clips: frames (B, T, D) floating point.

        with_states: also return the states, which losses that match them read.
        """


class Head(nn.Module, ABC):
    """Turns encodings into logits.

    `__init__(self, width, classes, *, knobs)`: width is E, classes is C.

    The logit is log p - log(1 - p) whatever the head computes inside, so that every loss and metric
    reads one currency.
    """

    @abstractmethod
    def forward(self, summary: Tensor) -> Tensor:
        """Returns the logits (B, C) of summaries (B, E)."""

    def start_from(self, rates: Tensor) -> None:
        """Is told how frequent classes are, before training; a head may begin there.

        Called once, on the CPU, after the weights were drawn. Does nothing unless overridden.

        rates: (C,) float32, of each class (n + 1/2) / (V + 1), where n of V training videos have
            it.
        """
