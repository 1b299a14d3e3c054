"""ONNX, for onnxruntime and whatever else reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from distillbench import hookimpl
from distillbench.interfaces import Clips, Exporter
from distillbench_plugins.layers.onnx_graphs import loaded, onnx_model, readme, require


class Onnx(Exporter):
    """One ONNX file: stored frames in, logits and probabilities out, in float32.

    It holds all that lies between, the decoding of stored frames included; any number of videos at
    once. Hierarchical and plain LSTMs become `LSTM` operators. `pip install 'distillbench[export]'`
    brings what it needs.
    """

    suffix: ClassVar[str] = ".onnx"
    runtime: ClassVar[str] = "onnxruntime"

    def export(
        self, network: nn.Module, example: Clips, about: Mapping[str, Any], path: Path
    ) -> None:
        """Writes the file."""
        require("onnx")
        path.write_bytes(onnx_model(network, example, about).SerializeToString())

    def load(self, path: Path) -> Callable[[Clips], Tensor]:
        """Opens the file in onnxruntime."""
        require("onnx")
        return loaded(path)

    def readme(self, about: Mapping[str, Any], path: Path) -> str:
        """Returns an example of plain onnxruntime."""
        return readme(about, path, "in float32")


@hookimpl
def exporters() -> dict[str, type[Exporter]]:
    """Offers `onnx`."""
    return {"onnx": Onnx}
