"""The hierarchical RNN, as teacher and as student: they differ in the length of a block alone.

docs/paper.md, section 1, has the paper's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from distillbench import hookimpl
from distillbench.interfaces import Clips, Encoder, Encoding
from distillbench_plugins.layers.hierarchical import HierarchicalLSTM, Settings

TEACHER_BLOCK = 20


class TeacherHRNN(Encoder):
    """Hierarchical RNN, as teacher: an LSTM encodes blocks of 20 frames, another the sequence of codes.

    The paper's, docs/paper.md, section 1.

    Knobs:
        cell_size: H, the width of an LSTM's state.
        layers: of the lower and of the higher LSTM.
        block_length: frames a block, the last as short as it comes; 0 for the paper's 20.
        block_count: if above 0, a video of N frames is cut into blocks of ceil(N / count) instead.
        state: concat, the cell and hidden state of every layer, [c1, h1, c2, h2]; top, the top layer's hidden state.
        init: glorot (uniform kernels, zero bias, forget bias 1); default, as `nn.LSTM` starts.
        dropout: share dropped inside the encoder, beside what the head drops of its input.
        dropout_place: where it is dropped: input, every frame; layers, between LSTM layers; summary, the encoding.
        zero_slots: if above 0, every video is zero-padded or clamped to that many frames and padding is encoded like
            them, as in the released code; -1 for as many as the selector was asked for; 0 leaves padding out.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"cell_size": 8}
    exclusive_knobs: ClassVar[Sequence[Sequence[str]]] = (("block_length", "block_count"),)

    def __init__(
        self,
        width: int,
        *,
        cell_size: int = 1024,
        layers: int = 2,
        block_length: int = 0,
        block_count: int = 0,
        state: Literal["concat", "top"] = "concat",
        init: Literal["glorot", "default"] = "glorot",
        dropout: float = 0.0,
        dropout_place: Literal["input", "layers", "summary"] = "input",
        zero_slots: int = 0,
    ) -> None:
        super().__init__()
        settings = Settings(
            cell_size, layers, block_length, block_count, state, init, dropout, dropout_place, zero_slots
        )
        self.block_length = block_length or TEACHER_BLOCK
        self.rnn = HierarchicalLSTM(width, settings)

    def forward(self, clips: Clips) -> Encoding:
        """Encodes clips; states are the lower LSTM's after every frame, each block's starting from zero."""
        encoding: Encoding = self.rnn(clips, self.block_length, self.keeps_states)
        return encoding

    def published_macs(self, frames: int, width: int) -> int:
        """Counts as the paper's Table 4: the lower LSTM alone over the first feature (docs/paper.md, section 6)."""
        return self.rnn.macs_of_lower(frames, width)


class StudentHRNN(Encoder):
    """Hierarchical RNN, as student: the teacher's architecture over k frames in blocks of 5 or 3.

    The paper's, docs/paper.md, section 1 and row 2.

    Knobs:
        cell_size: H, the width of an LSTM's state.
        layers: of the lower and of the higher LSTM.
        block_length: frames a block, the last as short as it comes; 0 for the paper's 5 if k divides by 5, else 3.
        block_count: if above 0, a video of N frames is cut into blocks of ceil(N / count) instead.
        state: concat, the cell and hidden state of every layer, [c1, h1, c2, h2]; top, the top layer's hidden state.
        init: glorot (uniform kernels, zero bias, forget bias 1); default, as `nn.LSTM` starts.
        dropout: share dropped inside the encoder, beside what the head drops of its input.
        dropout_place: where it is dropped: input, every frame; layers, between LSTM layers; summary, the encoding.
        zero_slots: if above 0, every video is zero-padded or clamped to that many frames and padding is encoded like
            them, as in the released code; -1 for as many as the selector was asked for; 0 leaves padding out.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"cell_size": 8}
    exclusive_knobs: ClassVar[Sequence[Sequence[str]]] = (("block_length", "block_count"),)

    def __init__(
        self,
        width: int,
        *,
        cell_size: int = 1024,
        layers: int = 2,
        block_length: int = 0,
        block_count: int = 0,
        state: Literal["concat", "top"] = "concat",
        init: Literal["glorot", "default"] = "glorot",
        dropout: float = 0.0,
        dropout_place: Literal["input", "layers", "summary"] = "input",
        zero_slots: int = 0,
    ) -> None:
        super().__init__()
        settings = Settings(
            cell_size, layers, block_length, block_count, state, init, dropout, dropout_place, zero_slots
        )
        self.block_length = block_length
        self.rnn = HierarchicalLSTM(width, settings)

    def forward(self, clips: Clips) -> Encoding:
        """Encodes clips; states are the lower LSTM's after every frame, each block's starting from zero."""
        block_length = self.block_length or (5 if clips.slots % 5 == 0 else 3)
        encoding: Encoding = self.rnn(clips, block_length, self.keeps_states)
        return encoding

    def published_macs(self, frames: int, width: int) -> int:
        """Counts as the paper's Table 4: the lower LSTM alone over the first feature (docs/paper.md, section 6)."""
        return self.rnn.macs_of_lower(frames, width)


@hookimpl
def teacher_encoders() -> dict[str, type[Encoder]]:
    """Offers `hrnn`."""
    return {"hrnn": TeacherHRNN}


@hookimpl
def student_encoders() -> dict[str, type[Encoder]]:
    """Offers `hrnn`."""
    return {"hrnn": StudentHRNN}
