"""Soft dynamic time warping of batches of sequences (arXiv 1703.01541)."""

from __future__ import annotations

import torch
from torch import Tensor

_FAR = 1e10


def soft_dtw_divergence(
    ours: Tensor, theirs: Tensor, lengths: Tensor, their_lengths: Tensor, gamma: float
) -> Tensor:
    """Returns soft-DTW less the mean of that of each sequence with itself, (B,).

    It is at least 0, and 0 for equal sequences (arXiv 2010.08354, eq. 9), which soft-DTW itself is
    not.

    ours: (B, S, W), of which the first `lengths` (B,) count. theirs: (B, T, W), likewise.
    gamma: how soft the minimum over paths is, above 0.
    """
    across = soft_dtw(_distances(ours, theirs), lengths, their_lengths, gamma)
    within = soft_dtw(_distances(ours, ours), lengths, lengths, gamma)
    their_own = soft_dtw(_distances(theirs, theirs), their_lengths, their_lengths, gamma)
    return across - (within + their_own) / 2


def soft_dtw(distances: Tensor, lengths: Tensor, their_lengths: Tensor, gamma: float) -> Tensor:
    """Returns the soft minimum of the sums along monotone paths (arXiv 1703.01541, algorithm 1).

    distances: (B, S, T). lengths, their_lengths: (B,) at least 1, where each path ends.
    Returns (B,). Anti-diagonals are computed one after another, each for the whole batch.
    """
    videos, rows, columns = distances.shape
    row = torch.arange(rows, device=distances.device)
    before = distances.new_full((videos, rows), _FAR)
    last = before
    ends = []
    for diagonal in range(rows + columns - 1):
        column = diagonal - row
        inside = (column >= 0) & (column < columns)
        cost = distances[:, row, column.clamp(0, columns - 1)]
        if diagonal == 0:
            best = distances.new_full((videos, rows), _FAR).index_fill(1, row[:1], 0.0)
        else:
            ways = torch.stack([last, _from_above(last), _from_above(before)])
            best = -gamma * torch.logsumexp(-ways / gamma, 0)
        before, last = last, torch.where(inside, cost + best, _FAR)
        ends.append(last)
    table = torch.stack(ends)
    where = (lengths + their_lengths - 2).to(table.device)
    return table[where, torch.arange(videos, device=table.device), (lengths - 1).to(table.device)]


def _from_above(values: Tensor) -> Tensor:
    """Moves the values of each row to the next."""
    return torch.cat([torch.full_like(values[:, :1], _FAR), values[:, :-1]], 1)


def _distances(ours: Tensor, theirs: Tensor) -> Tensor:
    """Squared distances of every state from every other, (B, S, T)."""
    return (ours[:, :, None] - theirs[:, None]).square().sum(3)
