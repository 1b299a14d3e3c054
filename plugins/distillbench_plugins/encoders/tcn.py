"""A temporal convolutional network (arXiv 1803.01271)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import pad

from distillbench import hookimpl
from distillbench.interfaces import Clips, Encoder, Encoding
from distillbench_plugins.layers.knobs import not_a_share, refuse, wrong_counts
from distillbench_plugins.layers.recurrent import encoding_of


class _Block(nn.Module):
    """x + dropout(relu(a causal convolution of x)), (B, W, T)."""

    def __init__(self, size: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.before = (kernel - 1) * dilation
        self.convolution = nn.Conv1d(size, size, kernel, dilation=dilation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor) -> Tensor:
        convolved = self.convolution(pad(values, (self.before, 0)))
        added: Tensor = values + self.dropout(convolved.relu())
        return added


class TemporalConvolutions(Encoder):
    """Causal convolutions over time, each reaching twice as far as the one before.

    A residual block a layer (arXiv 1803.01271, section 3), after a linear layer on each frame. The
    encoding is the output at the last frame, which sees (kernel - 1) (2^layers - 1) frames before
    it. Frames are taken as evenly spaced, whether k were chosen or all N.

    Knobs:
        size: W and E, the width of every layer.
        layers: how many blocks.
        kernel: frames that a convolution spans, at least 2.
        dropout: share dropped after each convolution in training.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"size": 8, "layers": 2}

    def __init__(
        self,
        width: int,
        *,
        size: int = 512,
        layers: int = 4,
        kernel: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        problems = wrong_counts(
            "encoder tcn", size=(size, 1, 65_536), layers=(layers, 1, 16), kernel=(kernel, 2, 64)
        )
        refuse([*problems, *not_a_share("encoder tcn", dropout=dropout)])
        self.frame = nn.Linear(width, size)
        self.blocks = nn.Sequential(
            *(_Block(size, kernel, 2**layer, dropout) for layer in range(layers))
        )

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes clips; the states are the last layer's, after every frame."""
        states = self._states(clips.frames)
        return encoding_of(states, clips, with_states=with_states)

    def _states(self, frames: Tensor) -> Tensor:
        """Returns the last layer's output at every frame: (B, T, D) to (B, T, W)."""
        states: Tensor = self.blocks(self.frame(frames).transpose(1, 2)).transpose(1, 2)
        return states


@hookimpl
def teacher_encoders() -> dict[str, type[Encoder]]:
    """Offers `tcn`."""
    return {"tcn": TemporalConvolutions}


@hookimpl
def student_encoders() -> dict[str, type[Encoder]]:
    """Offers `tcn`."""
    return {"tcn": TemporalConvolutions}
