"""The minimal GRU, which is trained without walking through time (arXiv 2410.01201)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import dropout as drop

from distillbench import hookimpl
from distillbench.interfaces import Clips, Encoder, Encoding
from distillbench_plugins.layers.knobs import ascending, not_a_share, refuse, wrong_counts
from distillbench_plugins.layers.pooling import state_after
from distillbench_plugins.layers.recurrent import encoding_of
from distillbench_plugins.layers.scan import linear_recurrence


class MinGRU(Encoder):
    """GRU layers whose gates see the frame alone, so that all steps are computed at once.

    z_t = sigmoid(U x_t), h_t = (1 - z_t) h_(t-1) + z_t V x_t (arXiv 2410.01201, section 3.1.3). The
    encoding is the last layer's state after the last frame; few or many frames are read alike.

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
        problems = wrong_counts("encoder mingru", size=(size, 1, 65_536), layers=(layers, 1, 64))
        refuse([*problems, *not_a_share("encoder mingru", dropout=dropout)])
        self.exits = ascending(exits, "encoder mingru: exits")
        self.dropout = dropout
        widths = [width, *[size] * (layers - 1)]
        self.gates = nn.ModuleList(nn.Linear(each, size) for each in widths)
        self.candidates = nn.ModuleList(nn.Linear(each, size) for each in widths)

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
        states = frames
        for number, (gate, candidate) in enumerate(zip(self.gates, self.candidates, strict=True)):
            if number:
                states = drop(states, self.dropout, self.training)
            update = gate(states).sigmoid()
            states = linear_recurrence(1 - update, update * candidate(states))
        return states


@hookimpl
def teacher_encoders() -> dict[str, type[Encoder]]:
    """Offers `mingru`."""
    return {"mingru": MinGRU}


@hookimpl
def student_encoders() -> dict[str, type[Encoder]]:
    """Offers `mingru`."""
    return {"mingru": MinGRU}
