"""ONNX in 8 bits, for onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from distillbench import hookimpl
from distillbench.interfaces import Clips, Exporter
from distillbench_plugins.layers.onnx_graphs import (
    loaded,
    onnx_model,
    quantized,
    readme,
    require,
)


class OnnxInt8(Exporter):
    """One ONNX file whose matrix products and LSTMs compute in 8 bits.

    Dynamic quantization by onnxruntime: weights are rounded once, each output's by a scale of its
    own, activations whenever they are multiplied. No data is needed. Convolutions and GRUs, for
    which onnxruntime has no such operators, stay in float32. `pip install 'distillbench[export]'`
    brings what it needs.
    """

    suffix: ClassVar[str] = ".onnx"
    runtime: ClassVar[str] = "onnxruntime"
    precision: ClassVar[str] = "int8"

    def export(
        self, network: nn.Module, example: Clips, about: Mapping[str, Any], path: Path
    ) -> None:
        """Writes the file; raises `NotApplicableError` where there is nothing to quantize."""
        require("onnx-int8")
        model = quantized(onnx_model(network, example, about), path.parent)
        path.write_bytes(model.SerializeToString())

    def load(self, path: Path) -> Callable[[Clips], Tensor]:
        """Opens the file in onnxruntime."""
        require("onnx-int8")
        return loaded(path)

    def readme(self, about: Mapping[str, Any], path: Path) -> str:
        """Returns an example of plain onnxruntime."""
        return readme(about, path, "in 8 bits")


@hookimpl
def exporters() -> dict[str, type[Exporter]]:
    """Offers `onnx-int8`."""
    return {"onnx-int8": OnnxInt8}
