"""How a picture of a video becomes numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import nn


@dataclass(frozen=True)
class PictureEncoder:
    """A network that is ready to encode pictures.

    network: takes pictures (B, 3, size, size), uint8, red, green and blue, and returns (B, D)
        floating point; in evaluation mode, on the CPU. What a picture becomes does not depend on
        those beside it.
    size: pixels of a picture's side.
    crop: which part of a frame a picture shows: the side of the centered square, as a share of the
        frame's shorter side.
    """

    network: nn.Module
    size: int
    crop: float = 1.0


class Backbone(ABC):
    """Encodes the pictures of a video, each for itself. `__init__(self, *, knobs)`.

    Building one loads nothing and needs no package.

    is_default: whether it is taken where none is named.
    """

    is_default: ClassVar[bool] = False

    @abstractmethod
    def load(self) -> PictureEncoder:
        """Loads the network with its weights, the same each time.

        Raises `ConfigError`, which says what to install or to name, where that cannot be done.
        """
