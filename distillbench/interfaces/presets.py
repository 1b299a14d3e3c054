"""Many settings under one name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar


class Preset(ABC):
    """Many settings under one name. `__init__(self, *, knobs)`.

    is_default: its settings are the defaults, without being chosen by name.
    """

    is_default: ClassVar[bool] = False

    @abstractmethod
    def settings(self, k: int) -> Mapping[str, object]:
        """Returns settings for k frames, by dotted name."""
