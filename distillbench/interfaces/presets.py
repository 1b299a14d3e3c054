"""Many settings under one name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping


class Preset(ABC):
    """Many settings under one name. `__init__(self, *, knobs)`."""

    @abstractmethod
    def settings(self, k: int) -> Mapping[str, object]:
        """Returns settings by dotted name (`schedule.head`, `training.decay`, `loss.pred.divergence`) for k frames."""
