"""The hierarchical RNN: an LSTM over the frames of every block, another over the blocks' codes.

docs/paper.md, section 1, has the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, pad

from distillbench.errors import ConfigError
from distillbench.interfaces import NO_FRAME, Clips, Encoding
from distillbench.interfaces import States as FrameStates
from distillbench_plugins.layers.knobs import not_a_share
from distillbench_plugins.layers.last_state_lstm import LastStateLSTM
from distillbench_plugins.layers.lstm import LSTM, Init
from distillbench_plugins.layers.packing import cut, moved, pack
from distillbench_plugins.layers.states import States
from distillbench_plugins.layers.static_hierarchical import StaticHierarchicalLSTM

DropoutPlace = Literal["input", "layers", "summary"]
State = Literal["concat", "top"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What shapes a hierarchical RNN.

    Knobs:
        cell_size: H, the width of an LSTM's state.
        layers: of the lower and of the higher LSTM.
        block_length: frames a block, the last as short as it comes; 0 for what the encoder makes of
            it.
        block_count: if above 0, a video of N frames is cut into blocks of ceil(N / count) instead.
        state: concat, the cell and hidden state of every layer, [c1, h1, c2, h2]; top, the top
            layer's hidden state.
        init: glorot (uniform kernels, zero bias, forget bias 1); default, as `nn.LSTM` starts.
        dropout: share dropped inside the encoder, beside what the head drops of its input.
        dropout_place: where it is dropped: input, every frame; layers, between LSTM layers;
            summary, the encoding.
        zero_slots: if above 0, every video is zero-padded or clamped to that many frames and
            padding is encoded like them, as in the released code; -1 for as many as were requested
            of the selector; 0 leaves padding out.
    """

    cell_size: int = 1024
    layers: int = 2
    block_length: int = 0
    block_count: int = 0
    state: State = "concat"
    init: Init = "glorot"
    dropout: float = 0.0
    dropout_place: DropoutPlace = "input"
    zero_slots: int = 0

    def __post_init__(self) -> None:
        problems = [
            f"encoder hrnn: {name}={getattr(self, name)} is not at least {least}"
            for name, least in (
                ("cell_size", 1),
                ("layers", 1),
                ("block_length", 0),
                ("block_count", 0),
                ("zero_slots", -1),
            )
            if getattr(self, name) < least
        ]
        problems += not_a_share("encoder hrnn", dropout=self.dropout)
        if self.block_length > 0 and self.block_count > 0:
            problems.append(
                "encoder hrnn: block_length and block_count are both set; set one of them"
            )
        problems += [
            f"encoder hrnn: {name}={getattr(self, name)} is not at most {most}"
            for name, most in (("cell_size", 65_536), ("layers", 64))
            if getattr(self, name) > most
        ]
        if problems:
            raise ConfigError(problems)

    @property
    def state_width(self) -> int:
        """W and E: the width of a state, of a block's code and of the summary."""
        return self.cell_size * (2 * self.layers if self.state == "concat" else 1)


class HierarchicalLSTM(nn.Module):
    """Encodes all blocks of all videos as one batch, then each video's sequence of blocks.

    Real frames alone are gathered, so padding is never seen, whatever it holds, and never paid for.
    """

    def __init__(self, width: int, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        between = settings.dropout if settings.dropout_place == "layers" else 0.0
        size, layers, init = settings.cell_size, settings.layers, settings.init
        self.lower = LSTM(width, size, layers, init=init, dropout=between)
        self.higher = LSTM(settings.state_width, size, layers, init=init, dropout=between)

    def forward(self, clips: Clips, block_length: int, with_states: bool) -> Encoding:
        """Encodes clips in blocks of `block_length`, unless a number of blocks is set."""
        clips = slotted(clips, self.settings.zero_slots)
        videos, slots, _ = clips.frames.shape
        starts, lengths, counts = cut(
            clips.lengths, self._block_lengths(clips.lengths, block_length), slots
        )
        blocks, sequences = pack(starts, lengths), pack(counts.cumsum(0) - counts, counts)
        rows = moved(blocks.rows, clips.frames.device)
        frames = self._dropped(
            clips.frames.reshape(videos * slots, -1).index_select(0, rows), "input"
        )
        lower = self.lower(frames.to(self.lower.dtype), blocks.sizes)
        codes = self._state(lower, moved(blocks.last[sequences.rows], clips.frames.device))
        higher = self.higher(codes, sequences.sizes)
        summary = self._dropped(
            self._state(higher, moved(sequences.last, clips.frames.device)), "summary"
        )
        if not with_states:
            return Encoding(summary)
        states = self._state(lower, None)
        table = states.new_zeros(videos * slots, states.shape[1]).index_copy(0, rows, states)
        return Encoding(
            summary, {"frames": FrameStates(table.view(videos, slots, -1), clips.times)}
        )

    def with_static_shapes(self) -> StaticHierarchicalLSTM:
        """Returns an equal module for inference whose shapes depend on those of its input alone."""
        lower, higher = (
            LastStateLSTM([lstm.weights(layer) for layer in range(lstm.layers)])
            for lstm in (self.lower, self.higher)
        )
        settings = self.settings
        return StaticHierarchicalLSTM(
            lower,
            higher,
            settings.block_count,
            lambda clips: slotted(clips, settings.zero_slots),
            lambda states: joined(states, settings.state),
        )

    def macs_of_lower(self, frames: int, width: int) -> int:
        """Counts as the paper's Table 4 does.

        The lower LSTM over `frames`, with 15 element-wise steps a cell.
        """
        size = self.settings.cell_size
        widths = [width, *[size] * (self.settings.layers - 1)]
        return frames * sum((below + size) * 4 * size + 15 * size for below in widths)

    def _block_lengths(self, lengths: Tensor, block_length: int) -> Tensor:
        if count := self.settings.block_count:
            return (lengths + count - 1) // count
        return torch.full_like(lengths, block_length)

    def _state(self, states: list[States], rows: Tensor | None) -> Tensor:
        """Joins the states at the packed `rows`, all for None."""
        return joined(states, self.settings.state, rows)

    def _dropped(self, values: Tensor, place: DropoutPlace) -> Tensor:
        if self.settings.dropout_place != place:
            return values
        return dropout(values, self.settings.dropout, self.training)


def slotted(clips: Clips, zero_slots: int) -> Clips:
    """Pads every video with zeros, or cuts it, to as many slots as `Settings.zero_slots` says.

    Padding is then part of the video.
    """
    slots = clips.slots if zero_slots == -1 else zero_slots
    if slots == 0:
        return clips
    frames = clips.frames.masked_fill(~clips.mask()[:, :, None], 0.0)
    more = slots - frames.shape[1]
    return replace(
        clips,
        frames=pad(frames, (0, 0, 0, more)),
        lengths=torch.full_like(clips.lengths, slots),
        times=pad(clips.times, (0, more), value=NO_FRAME),
    )


def joined(states: list[States], how: State, rows: Tensor | None = None) -> Tensor:
    """Joins the states of the layers: [c1, h1, c2, h2, ...], or the top layer's h.

    rows: of the states, all for None.
    """
    parts = [part for layer in states for part in layer] if how == "concat" else [states[-1].hidden]
    if rows is not None:
        parts = [part.index_select(0, rows) for part in parts]
    return torch.cat([part.to(states[-1].cell.dtype) for part in parts], 1)
