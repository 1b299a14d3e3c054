"""An exit policy: stop when sure."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import ExitPolicy


class Confident(ExitPolicy):
    """Stops at the first exit whose best class is likely enough; how likely is tuned to a share of stops.

    Knobs:
        share: of the validation videos that are to stop at the first exit.
    """

    def __init__(self, *, share: float = 0.5) -> None:
        super().__init__()
        if not 0.0 <= share <= 1.0:
            raise ConfigError([f"exit policy confident: share={share} is not within [0, 1]"])
        self.share = share
        self.register_buffer("threshold", torch.tensor(0.9))

    def tune(self, logits: Sequence[Tensor], labels: Tensor, frames: Sequence[int]) -> None:
        """Sets the threshold so that `share` of the videos stop at the first exit."""
        sure = logits[0].float().sigmoid().amax(1)
        self.threshold.fill_(torch.quantile(sure, 1.0 - self.share))

    def stop(self, logits: Sequence[Tensor]) -> Tensor:
        """Stops where the best class reaches the threshold."""
        return logits[-1].float().sigmoid().amax(1) >= self.threshold.to(logits[-1].device)


@hookimpl
def exit_policies() -> dict[str, type[ExitPolicy]]:
    """Offers `confident`."""
    return {"confident": Confident}
