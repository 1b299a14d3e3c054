"""A plain recurrent network over the frames (LSTM, Hochreiter and Schmidhuber 1997)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import ClassVar

import torch
from torch import Tensor, nn

from distillbench import hookimpl
from distillbench.interfaces import Clips, Encoder, Encoding
from distillbench_plugins.layers.knobs import ascending, not_a_share, refuse, wrong_counts
from distillbench_plugins.layers.pooling import state_after
from distillbench_plugins.layers.recurrent import encoding_of


class LSTMEncoder(Encoder):
    """LSTM layers; the encoding is the last layer's hidden state after the last frame.

    Hochreiter and Schmidhuber, Neural Computation 9(8), 1997. Few or many frames are read in the
    same way, one after another.

    Knobs:
        size: W and E, the width of a state.
        layers: how many lie above one another.
        dropout: share dropped between layers in training.
        exits: after how many frames it may stop early, such as 2,5; empty for never.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"size": 8}

    def __init__(
        self,
        width: int,
        *,
        size: int = 512,
        layers: int = 1,
        dropout: float = 0.0,
        exits: str = "",
    ) -> None:
        super().__init__()
        problems = wrong_counts("encoder lstm", size=(size, 1, 65_536), layers=(layers, 1, 64))
        refuse([*problems, *not_a_share("encoder lstm", dropout=dropout)])
        self.exits = ascending(exits, "encoder lstm: exits")
        self.rnn = nn.LSTM(
            width, size, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
        )

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes clips; the states are the last layer's, after every frame."""
        states = self._states(clips.frames)
        exits = self.exits if self.training else ()
        return encoding_of(states, clips, with_states=with_states, exits=exits)

    def up_to(self, clips: Clips, frames: int) -> Encoding:
        """Encodes the first `frames` frames."""
        return Encoding(state_after(self._states(clips.frames[:, :frames]), clips, frames))

    def _states(self, frames: Tensor) -> Tensor:
        """Returns the last layer's state after every frame: (B, T, D) to (B, T, W)."""
        # On the CPU in float32 always: not every processor can do torch's LSTM in bf16.
        is_on_cpu = frames.device.type == "cpu"
        with torch.autocast("cpu", enabled=False) if is_on_cpu else nullcontext():
            states: Tensor = self.rnn(frames)[0]
        return states


@hookimpl
def teacher_encoders() -> dict[str, type[Encoder]]:
    """Offers `lstm`."""
    return {"lstm": LSTMEncoder}


@hookimpl
def student_encoders() -> dict[str, type[Encoder]]:
    """Offers `lstm`."""
    return {"lstm": LSTMEncoder}
