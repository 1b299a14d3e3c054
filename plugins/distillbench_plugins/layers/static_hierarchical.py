"""The hierarchical RNN for export: every block of every video has the same number of slots."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from distillbench.interfaces import Clips, Encoding
from distillbench_plugins.layers.last_state_lstm import LastStateLSTM
from distillbench_plugins.layers.states import States


class StaticHierarchicalLSTM(nn.Module):
    """Computes what a `HierarchicalLSTM` computes in evaluation, without its states.

    Blocks are padded and their real lengths given to the LSTMs, so that no shape depends on the
    length of a video.

    block_count: as in the settings, 0 for blocks of equal length.
    slotted: pads or cuts clips as the settings have it.
    joined: makes the code (Q, W) of a block of the last states of the layers.
    """

    def __init__(
        self,
        lower: LastStateLSTM,
        higher: LastStateLSTM,
        block_count: int,
        slotted: Callable[[Clips], Clips],
        joined: Callable[[list[States]], Tensor],
    ) -> None:
        super().__init__()
        self.lower, self.higher = lower, higher
        self.block_count, self.slotted, self.joined = block_count, slotted, joined

    def forward(self, clips: Clips, block_length: int, with_states: bool = False) -> Encoding:
        """Encodes clips in blocks of `block_length`, unless a number of blocks is set."""
        clips = self.slotted(clips)
        lengths = clips.lengths.to(clips.frames.device)
        if self.block_count:
            blocks, real, counts = _counted(clips.frames, lengths, self.block_count)
        else:
            blocks, real, counts = _equal(clips.frames, lengths, block_length)
        codes = self.joined(self.lower(blocks.flatten(0, 1), real.flatten().clamp_min(1)))
        sequences = codes.view(-1, real.shape[1], codes.shape[1])
        return Encoding(self.joined(self.higher(sequences, counts)))


def _equal(frames: Tensor, lengths: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cuts frames (B, T, D) into blocks of one length.

    Returns the blocks (B, N, L, D), how many frames of each are real, (B, N), and how many blocks
    each video has, (B,).
    """
    count = -(-frames.shape[1] // length)
    padded = pad(frames, (0, 0, 0, count * length - frames.shape[1]))
    real = (lengths[:, None] - torch.arange(count) * length).clamp(0, length)
    blocks = padded.view(-1, count, length, frames.shape[2])
    return blocks, real, (lengths + (length - 1)) // length


def _counted(frames: Tensor, lengths: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cuts each video into blocks of ceil(its length / count); returns what `_equal` does."""
    longest = -(-frames.shape[1] // count)
    each = (lengths[:, None] + (count - 1)) // count
    starts = torch.arange(count) * each
    places = starts[:, :, None] + torch.arange(longest)
    index = places.clamp_max(frames.shape[1] - 1).flatten(1)[:, :, None]
    blocks = frames.gather(1, index.expand(-1, -1, frames.shape[2]))
    real = (lengths[:, None] - starts).clamp_min(0).minimum(each)
    counts = (lengths[:, None] + (each - 1)) // each
    return blocks.view(-1, count, longest, frames.shape[2]), real, counts[:, 0]
