"""Where the videos of a split stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ExitShare:
    """One exit of a network.

    number: which, from 0.
    frames: that it takes.
    share: of the videos that stop there.
    """

    number: int
    frames: int
    share: float


def shares(used: Tensor | None, exits: Sequence[int]) -> list[ExitShare]:
    """Counts where videos stopped: those exits that some video took.

    used: (V,) frames of each video; None for a network that has no exits.
    exits: after how many frames it may stop, the end included; a video that ended before one
    stopped there.
    """
    if used is None or not len(used):
        return []
    found = []
    for number, frames in enumerate(exits):
        before = exits[number - 1] if number else 0
        share = float(((used > before) & (used <= frames)).double().mean())
        found.append(ExitShare(number, frames, share))
    return [exit_share for exit_share in found if exit_share.share]
