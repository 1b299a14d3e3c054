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

    suffix: how the names of its files end, such as `.pt2`.
    runtime: the installed distribution that runs its files, such as `torch`; what the file
        makes of all test videos is then evaluated and timed. Empty where distillbench runs them.
    precision: what its files compute in. Logits of `fp32` files must be the network's; those of
        other precisions may differ, as long as the data's first metric falls but little.
    """

    suffix: ClassVar[str]
    runtime: ClassVar[str] = ""
    precision: ClassVar[str] = "fp32"

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
            `features`, `selector`, `k`, `frames` (the most that it is shown of a video),
            `label_kind`, `metrics` and more; `distillbench.network_from(about)` builds the network
            again, without its weights.

        `distillbench.deployment.deployed(network, example, about)` is the form that most formats
        need, with a fixed number of frames. Raises `NotApplicableError` with the reason where the
        network cannot be written.
        """

    @abstractmethod
    def load(self, path: Path) -> Callable[[Clips], Tensor]:
        """Reads a file that `export` wrote.

        Returns what makes logits (B, C) of clips as they are stored.

        Needs nothing but the file. Raises `DataError` where it is not such a file.
        """

    def readme(self, about: Mapping[str, Any], path: Path) -> str:
        """Returns how to use a file that `export` wrote, and that lies at the path, as Markdown.

        It is put beside the file. Its first Python example runs in the file's folder, and needs
        the runtime and numpy alone. Empty, as it is by default, for none.
        """
        return ""
