"""Whether training had ended when it was stopped.

A best epoch that is the last one shows that it had not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distillbench.results.schema import StoredEpoch


def still_improving(history: Sequence[StoredEpoch]) -> list[str]:
    """Reports each network and phase whose best epoch is its last.

    More epochs would have helped.
    """
    last = {epoch.phase: epoch for epoch in history}
    return [
        f"still improving: the {network}'s best epoch in phase '{phase}' is its last"
        f" ({epoch.epoch})"
        for phase, epoch in last.items()
        for network, learnt in epoch.networks.items()
        if learnt.best == epoch.epoch
    ]
