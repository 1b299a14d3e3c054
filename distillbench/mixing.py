"""Mixed videos (arXiv 1710.09412): which videos of a batch are mixed, and how their frames are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from distillbench.interfaces import Clips
from distillbench.seeds import derive


@dataclass(frozen=True)
class Mixing:
    """How videos are mixed: `share` of each video, and the rest of its partner.

    partners: (B,) int64 on the CPU, the row of each video's partner.
    share: of the video itself, in [0, 1]; one number for all videos.
    """

    partners: Tensor
    share: float

    def values(self, values: Tensor) -> Tensor:
        """Mixes values with a row a video, such as labels (B, C)."""
        return self.share * values + (1.0 - self.share) * values[self.partners]

    def clips(self, decoded: Clips) -> Clips:
        """Mixes the first B of decoded clips with their partners, slot by slot.

        A slot is mixed with the partner's slot at the same relative position, because clips differ
        in length. Each clip keeps its own length and times.
        """
        count, slots = len(self.partners), decoded.frames.shape[1]
        own, theirs = decoded.lengths[:count, None], decoded.lengths[self.partners][:, None]
        # The middle of slot s lies at (2s + 1) / 2L of a clip of L frames.
        places = (2 * torch.arange(slots) + 1) * theirs // (2 * own)
        device = decoded.frames.device
        index = torch.minimum(places, theirs - 1).to(device)[:, :, None]
        partners = decoded.frames[self.partners.to(device)]
        partners = partners.gather(1, index.expand(-1, -1, decoded.frames.shape[2]))
        mixed = self.share * decoded.frames[:count] + (1.0 - self.share) * partners
        kept = replace(
            decoded,
            frames=mixed,
            lengths=decoded.lengths[:count],
            times=decoded.times[:count],
            keys=None if decoded.keys is None else decoded.keys[:count],
        )
        return replace(kept, frames=mixed * kept.mask()[:, :, None].to(mixed.dtype))

    def of(self, rows: slice) -> tuple[Tensor, Mixing]:
        """Restricts it to some rows.

        Returns the rows that are needed for them, (R,), they themselves first; and how the first of
        those are mixed with all of them.
        """
        own = torch.arange(len(self.partners))[rows]
        partners = self.partners[own]
        others = partners[~torch.isin(partners, own)]  # a permutation: each of them is there once
        needed = torch.cat([own, others])
        places = torch.empty_like(self.partners)
        places[needed] = torch.arange(len(needed))
        return needed, Mixing(places[partners], self.share)


@dataclass(frozen=True)
class Mixup:
    """Draws how batches are mixed.

    alpha: of the distribution Beta(alpha, alpha) of shares.
    seed, phase: what the draws depend on, beside the epoch and the batch.
    """

    alpha: float
    seed: int
    phase: str

    def drawn(self, which: Tensor, epoch: int) -> Mixing:
        """Draws for the whole batch of videos `which` (B,), the same in every process."""
        # An epoch has every video once: the first one stands for the batch.
        batch = (epoch, int(which[0]), len(which))
        seed = derive(self.seed, "mixup", self.phase, *batch)
        partners = torch.randperm(len(which), generator=torch.Generator().manual_seed(seed))
        share = np.random.default_rng(derive(seed, "share")).beta(self.alpha, self.alpha)
        return Mixing(partners, float(share))
