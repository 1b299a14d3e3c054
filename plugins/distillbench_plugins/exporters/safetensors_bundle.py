"""One safetensors file with weights and the description of their network.

It is used where distillbench is installed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from distillbench import hookimpl, network_from
from distillbench.errors import DataError
from distillbench.interfaces import Clips, Exporter

_FORMAT = "distillbench network"


class SafetensorsBundle(Exporter):
    """One safetensors file.

    The weights, and as JSON in its metadata what builds the network and names its classes.

    `json.loads(metadata["about"])` has `class_names`, `codec`, `features`, `selector`, `k`,
    `metrics` and more.
    """

    suffix: ClassVar[str] = ".safetensors"

    def export(
        self, network: nn.Module, example: Clips, about: Mapping[str, Any], path: Path
    ) -> None:
        """Writes the file; tensors that share memory are written once each."""
        weights = network.state_dict().items()
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights}
        metadata = {"format": _FORMAT, "about": json.dumps(about)}
        try:
            save_file(tensors, path, metadata)
        except SafetensorError as error:
            raise OSError(str(error)) from error

    def load(self, path: Path) -> Callable[[Clips], Tensor]:
        """Builds the network that the file describes and gives it the weights."""
        tensors, about = _read(path)
        network = network_from(about)
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:  # names or shapes of another network
            raise DataError(
                f"'{path}' does not hold the weights of the network that it describes"
            ) from error

        def logits(clips: Clips) -> Tensor:
            made: Tensor = network(clips).logits
            return made

        return logits


def _read(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise DataError(f"'{path}' is not an exported network of this kind")
            about = json.loads(metadata["about"])
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise DataError(
            f"'{path}' is not an exported network, or a damaged one: {error}"
        ) from error


@hookimpl
def exporters() -> dict[str, type[Exporter]]:
    """Offers `safetensors-bundle`."""
    return {"safetensors-bundle": SafetensorsBundle}
