"""An exporter: numpy's own archive."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from distillbench import hookimpl, network_from
from distillbench.errors import DataError
from distillbench.interfaces import Clips, Exporter


class Archive(Exporter):
    """An `.npz` of the weights, and the description of their network as JSON."""

    suffix: ClassVar[str] = ".npz"

    def export(
        self, network: nn.Module, example: Clips, about: Mapping[str, Any], path: Path
    ) -> None:
        """Writes the archive."""
        weights = {
            name: value.detach().cpu().numpy() for name, value in network.state_dict().items()
        }
        with path.open("wb") as file:
            np.savez(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **weights)

    def load(self, path: Path) -> Callable[[Clips], Tensor]:
        """Builds the network again; raises `DataError` where the file is another."""
        try:
            with np.load(path, allow_pickle=False) as held:
                network = network_from(json.loads(held["about"].tobytes()))
                network.load_state_dict(
                    {n: torch.from_numpy(held[n]) for n in held.files if n != "about"}
                )
        except Exception as error:
            raise DataError(f"'{path}' is no archive of a network: {error}") from error

        def logits(clips: Clips) -> Tensor:
            with torch.no_grad():
                made: Tensor = network(clips).logits
            return made

        return logits


@hookimpl
def exporters() -> dict[str, type[Exporter]]:
    """Offers `archive`."""
    return {"archive": Archive}
