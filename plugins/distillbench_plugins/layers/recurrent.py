"""Encodings of encoders that read frames one after another."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from distillbench.interfaces import Clips, Encoding, States
from distillbench_plugins.layers.pooling import state_after


def encoding_of(
    states: Tensor, clips: Clips, *, with_states: bool = False, exits: Sequence[int] = ()
) -> Encoding:
    """Makes the encoding of states after every frame, (B, T, W): the summary is the last.

    Padding comes after the last frame, whose state it cannot change.

    exits: after how many frames the encoder may stop; those beyond T are left out.
    """
    longest = clips.frames.shape[1]
    return Encoding(
        state_after(states, clips, longest),
        {"frames": States(states, clips.times)} if with_states else {},
        tuple(state_after(states, clips, frames) for frames in exits if frames < longest),
    )
