"""How sure is sure enough to stop: a threshold an exit, which validation videos set."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_MOST_EXITS = 64


class Thresholds(nn.Module):
    """Thresholds such that a share of the videos that are still running stops at each exit.

    The surest stop first. Before they are tuned nobody stops, nor at exits after the 64th.
    """

    values: Tensor

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        # Of one size, so that a stored network can be loaded before it is tuned.
        self.register_buffer("values", torch.full((_MOST_EXITS,), torch.inf))

    def tune(self, sureness: Sequence[Tensor]) -> None:
        """Sets the thresholds by how sure the network is of V videos at each exit, (V,) each."""
        running = torch.ones(len(sureness[0]), dtype=torch.bool) if sureness else torch.ones(0)
        for number, found in enumerate(sureness[:_MOST_EXITS]):
            sure = found.cpu().float()
            left = sure[running]
            if self.share and len(left):
                # Those at or above the quantile stop.
                self.values[number] = torch.quantile(left, 1.0 - self.share)
            running = running & (sure < self.values[number].cpu())

    def reached(self, sureness: Tensor, exits: int) -> Tensor:
        """Tells which videos are sure enough at an exit, (B,).

        exits: how many there were so far.
        """
        if exits > _MOST_EXITS:
            return torch.zeros(len(sureness), dtype=torch.bool, device=sureness.device)
        return sureness >= self.values[exits - 1].to(sureness.device)
