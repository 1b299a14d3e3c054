"""How a trained network leaves the framework."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from distillbench.interfaces.clips import Clips


class Exporter(ABC):
    """Writes a trained network as one file, and reads it back. `__init__(self, *, knobs)`.

    suffix: how the names of its files end, such as `.onnx`.
    """

    suffix: ClassVar[str]

    @abstractmethod
    def export(
        self, network: nn.Module, example: Clips, about: Mapping[str, Any], path: Path
    ) -> None:
        """Writes the network to the path.

        network: in evaluation mode, on the CPU; `network(clips).logits` are (B, C) for clips as
        they are stored.
        example: some clips that it takes; the file must serve for others, with more videos and
        fewer frames.
        about: what is to be known of the network, as JSON would hold it: `class_names`, `codec`,
            `features`, `selector`, `k`, `metrics` and more; `distillbench.network_from(about)`
            builds the network again, without its weights.
        """

    @abstractmethod
    def load(self, path: Path) -> Callable[[Clips], Tensor]:
        """Reads a file that `export` wrote.

        Returns what makes logits (B, C) of clips as they are stored.

        Needs nothing but the file. Raises `DataError` where it is not such a file.
        """
