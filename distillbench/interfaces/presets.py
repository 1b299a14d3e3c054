"""Many settings under one name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar


class Preset(ABC):
    """Many settings under one name. `__init__(self, *, knobs)`.

    is_default: its settings hold wherever nothing else says, without being asked for by name.
    """

    is_default: ClassVar[bool] = False

    @abstractmethod
    def settings(self, k: int) -> Mapping[str, object]:
        """Returns settings by dotted name (`schedule.head`, `training.decay`, `loss.pred.divergence`) for k frames."""
