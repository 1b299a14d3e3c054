"""Stop where the classes leave little doubt."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import softplus

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import ExitPolicy
from distillbench_plugins.layers.thresholds import Thresholds


class Entropy(ExitPolicy):
    """Stops where the mean entropy of the classes is low (arXiv 1709.01686, section 3.3).

    Each class is a sigmoid of its own, as multi-label data has them.

    Knobs:
        share: of the videos that are still running, how many stop at each exit.
    """

    def __init__(self, *, share: float = 0.5) -> None:
        super().__init__()
        if not 0.0 <= share <= 1.0:
            raise ConfigError([f"exit policy entropy: share={share} is not within [0, 1]"])
        self.thresholds = Thresholds(share)

    def tune(self, logits: Sequence[Tensor], labels: Tensor, frames: Sequence[int]) -> None:
        """Sets one threshold an exit, but for the end."""
        self.thresholds.tune([_sureness(at_exit) for at_exit in logits[:-1]])

    def stop(self, logits: Sequence[Tensor]) -> Tensor:
        """Stops where the threshold of this exit is reached."""
        return self.thresholds.reached(_sureness(logits[-1]), len(logits))


def _sureness(logits: Tensor) -> Tensor:
    """Returns how sure the network is by its logits (B, C) at an exit, (B,)."""
    scores = logits.float()
    probability = scores.sigmoid()
    # The entropy of a sigmoid is softplus(z) - z p, which no large z can break.
    return -(softplus(scores) - scores * probability).mean(1)


@hookimpl
def exit_policies() -> dict[str, type[ExitPolicy]]:
    """Offers `entropy`."""
    return {"entropy": Entropy}
