"""What a teacher that stands still says of each training video, asked once and kept."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench.data.batches import View, batches
from distillbench.interfaces import Outcome, Videos
from distillbench.networks import Model


class Signals:
    """A guide's encoding of every training video, (V, E) in half precision; logits are computed again through its head."""

    def __init__(self, guide: Model, summaries: Tensor) -> None:
        self._guide, self._summaries = guide, summaries

    def outcome(self, videos: Tensor, device: torch.device) -> Outcome:
        """Returns the guide's outcome for the videos (B,)."""
        summary = self._summaries[videos].to(device, non_blocking=True).float()
        with torch.no_grad():
            return self._guide.outcome_of(summary)


def ask(guide: Model, videos: Videos, view: View, batch_size: int, device: torch.device) -> Signals:
    """Shows a guide every video of a split once, as it is seen in evaluation, and keeps its encodings."""
    guide.eval()
    kept = []
    with torch.no_grad():
        for batch in batches(videos, torch.arange(len(videos)), batch_size, {"": view}, device=device):
            kept.append(guide(batch.clips[""].to(device)).encoding.summary.half().cpu())
    return Signals(guide, torch.cat(kept))
