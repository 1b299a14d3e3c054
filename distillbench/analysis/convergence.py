"""Whether training had ended when it was stopped: a best epoch that is the last one says that it had not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def still_improving(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Says of each network and phase whose best epoch is its last: more epochs would have helped."""
    last = {str(row["phase"]): row for row in history}
    return [
        f"still improving: the {network}'s best epoch in phase '{phase}' is its last ({row['epoch']})"
        for phase, row in last.items()
        for network, learnt in row["networks"].items()
        if learnt.get("best") == row["epoch"]
    ]
