"""Which rows of a table of frames an LSTM walks through, in which order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """Sequences packed time-major, longest first, so that no step holds padding.

    rows: (P,) int64, the table's row behind every packed row.
    sizes: how many sequences reach each step.
    last: (Q,) int64, the packed row of each sequence's last step, in the order in which the
    sequences were given.
    """

    rows: Tensor
    sizes: list[int]
    last: Tensor


def pack(starts: Tensor, lengths: Tensor) -> Packing:
    """Packs Q sequences of consecutive rows.

    Starts and lengths are (Q,) int64 on the CPU, lengths at least 1.
    """
    order = lengths.argsort(descending=True, stable=True)
    steps = torch.arange(int(lengths.max()))[:, None]
    real = steps < lengths[order]
    rows = (starts[order] + steps)[real]
    sizes = real.sum(1)
    offsets = sizes.cumsum(0) - sizes
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    return Packing(rows, sizes.tolist(), offsets[lengths - 1] + rank)


def cut(lengths: Tensor, block_lengths: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cuts B videos into blocks, the last of a video as short as it comes; none is empty.

    lengths, block_lengths: (B,) int64.
    stride: the rows between the first frames of two videos in the table. Returns each block's first
    row and its length, (Q,) both, video after video, and each video's number of blocks (B,).
    """
    counts = (lengths + block_lengths - 1) // block_lengths
    videos = torch.repeat_interleave(torch.arange(len(lengths)), counts)
    before = counts.cumsum(0) - counts
    begins = (torch.arange(len(videos)) - before[videos]) * block_lengths[videos]
    return (
        videos * stride + begins,
        torch.minimum(lengths[videos] - begins, block_lengths[videos]),
        counts,
    )


def moved(values: Tensor, device: torch.device) -> Tensor:
    """Moves a tensor that is on the CPU to a device, without waiting for it."""
    if device.type == "cuda":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
