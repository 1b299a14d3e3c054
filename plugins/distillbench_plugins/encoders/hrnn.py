"""The hierarchical RNN, as teacher and as student: they differ in the length of a block alone.

docs/paper.md, section 1, has the paper's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from distillbench import hookimpl
from distillbench.interfaces import Clips, Encoder, Encoding
from distillbench_plugins.layers.hierarchical import HierarchicalLSTM, Settings

TEACHER_BLOCK = 20


class TeacherHRNN(Encoder):
    """Hierarchical RNN, as teacher.

    An LSTM encodes blocks of 20 frames, another the sequence of codes.

    The paper's, docs/paper.md, section 1.

    Knobs:
        block_length: frames a block, the last as short as it comes; 0 for the paper's 20.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"cell_size": 8}
    exclusive_knobs: ClassVar[Sequence[Sequence[str]]] = (("block_length", "block_count"),)

    def __init__(self, width: int, *, settings: Settings = Settings()) -> None:
        super().__init__()
        self.block_length = settings.block_length or TEACHER_BLOCK
        self.rnn = HierarchicalLSTM(width, settings)

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes clips; the states are the lower LSTM's, after every frame.

        Each block starts from zero.
        """
        encoding: Encoding = self.rnn(clips, self.block_length, with_states)
        return encoding

    def published_macs(self, frames: int, width: int) -> int:
        """Counts as the paper's Table 4.

        The lower LSTM alone over the first feature (docs/paper.md, section 6).
        """
        return self.rnn.macs_of_lower(frames, width)


class StudentHRNN(Encoder):
    """Hierarchical RNN, as student: the teacher's architecture over k frames in blocks of 5 or 3.

    The paper's, docs/paper.md, section 1 and row 2.

    Knobs:
        block_length: frames a block, the last as short as it comes; 0 for the paper's 5 if k
            divides by 5, else 3.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"cell_size": 8}
    exclusive_knobs: ClassVar[Sequence[Sequence[str]]] = (("block_length", "block_count"),)

    def __init__(self, width: int, *, settings: Settings = Settings()) -> None:
        super().__init__()
        self.block_length = settings.block_length
        self.rnn = HierarchicalLSTM(width, settings)

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes clips; the states are the lower LSTM's, after every frame.

        Each block starts from zero.
        """
        block_length = self.block_length or (5 if clips.slots % 5 == 0 else 3)
        encoding: Encoding = self.rnn(clips, block_length, with_states)
        return encoding

    def published_macs(self, frames: int, width: int) -> int:
        """Counts as the paper's Table 4.

        The lower LSTM alone over the first feature (docs/paper.md, section 6).
        """
        return self.rnn.macs_of_lower(frames, width)


@hookimpl
def teacher_encoders() -> dict[str, type[Encoder]]:
    """Offers `hrnn`."""
    return {"hrnn": TeacherHRNN}


@hookimpl
def student_encoders() -> dict[str, type[Encoder]]:
    """Offers `hrnn`."""
    return {"hrnn": StudentHRNN}
