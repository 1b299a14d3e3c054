"""Encoders that may stop early, and how it is decided when they do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from distillbench.interfaces.clips import Clips
from distillbench.interfaces.networks import Encoding


@runtime_checkable
class EarlyExit(Protocol):
    """What an `Encoder` has beside `forward` that may stop before it has looked at all frames.

    The cost of a video is what it takes to get to its exit. In training `forward` returns the
    encodings at all exits, so that losses can read the logits of each (`Output.exits`).
    """

    @property
    def exits(self) -> Sequence[int]:
        """After how many frames it may stop: ascending, at least 1.

        All frames are an exit without being listed.
        """
        ...

    def up_to(self, clips: Clips, frames: int) -> Encoding:
        """Encodes decoded clips from the first `frames` frames that it looks at, in whatever order.

        A fixed graph for each number, so that it can be counted; a video with fewer frames is
        encoded from all of them.
        """
        ...


class ExitPolicy(nn.Module, ABC):
    """Decides where a network stops.

    Offered by the hook `exit_policies`, by the name given to `--exit-policy`.

    `__init__(self, *, knobs)`. What `tune` finds is kept in buffers, which are stored with the
    network.
    """

    def tune(self, logits: Sequence[Tensor], labels: Tensor, frames: Sequence[int]) -> None:
        """Adapts the policy on the validation videos, once the network is trained.

        By default not at all.

        logits: (V, C) at each exit, the last being the end.
        labels: (V, C) of 0 and 1.
        frames: looked at by each exit, as means over the videos.
        """

    @abstractmethod
    def stop(self, logits: Sequence[Tensor]) -> Tensor:
        """Tells which videos stop here: (B,) bool.

        logits: (B, C) at every exit so far, this one last.
        """
