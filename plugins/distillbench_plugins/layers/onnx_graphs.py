"""Deployed networks as ONNX graphs, and ONNX graphs by onnxruntime."""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from distillbench.deployment import deployed, inputs_of, traced
from distillbench.errors import ConfigError, DataError, NotApplicableError
from distillbench.interfaces import Clips
from distillbench_plugins.layers.last_state_lstm import LastStateLSTM
from distillbench_plugins.layers.states import States
from distillbench_plugins.layers.usage import usage

if TYPE_CHECKING:
    import onnx
    import onnxruntime

KEY = "distillbench"
"""The entry of a file's metadata that holds, as JSON, what is to be known of its network."""


def onnx_model(network: nn.Module, example: Clips, about: Mapping[str, Any]) -> onnx.ModelProto:
    """Makes the ONNX model of a network's deployed form, with what is to be known in its metadata.

    Inputs that the network does not depend on are left out.
    """
    made = deployed(network, example, about)
    _use_operators(made)
    program = traced(made)
    with _quiet():
        exported: Any = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            output_names=list(made.outputs),
            custom_translation_table={torch.ops.aten.log_sigmoid.default: _log_sigmoid},
        )
    model: onnx.ModelProto = exported.model_proto
    used = {name for node in model.graph.node for name in node.input}
    for given in [each for each in model.graph.input if each.name not in used]:
        model.graph.input.remove(given)
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(dict(about))
    return model


def require(exporter: str) -> None:
    """Raises `ConfigError` where what ONNX needs is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            [
                f"the exporter '{exporter}' needs onnx, onnxscript and onnxruntime:"
                " pip install 'distillbench[export]'"
            ]
        ) from error


def _log_sigmoid(values: Any) -> Any:
    """Writes log sigmoid(x) as -softplus(-x).

    Torch writes it as the logarithm of a sigmoid, which at x = -10 has few digits left, and at -90
    is the logarithm of 0.
    """
    from onnxscript import opset18

    return opset18.Neg(opset18.Softplus(opset18.Neg(values)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences what torch's exporter says of itself."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # among others that torchvision's operators are not there
    try:
        with warnings.catch_warnings():
            # Torch warns of its own use of what it deprecates, while it copies a program.
            warnings.filterwarnings("ignore", r".*LeafSpec.* is deprecated", FutureWarning)
            yield
    finally:
        log.setLevel(level)


class _Operators(nn.Module):
    """An ONNX `LSTM` operator for each layer of a `LastStateLSTM`."""

    def __init__(self, lstm: LastStateLSTM) -> None:
        super().__init__()
        self.layers, self.size = lstm.layers, lstm.size
        for layer in range(lstm.layers):
            weight_ih, weight_hh, bias = (_reordered(weight) for weight in lstm.weights(layer))
            self.register_buffer(f"inputs_l{layer}", weight_ih[None])
            self.register_buffer(f"recurrent_l{layer}", weight_hh[None])
            self.register_buffer(f"bias_l{layer}", torch.cat([bias, torch.zeros_like(bias)])[None])

    def forward(self, inputs: Tensor, lengths: Tensor) -> list[States]:
        """Runs Q sequences (Q, T, D); returns each layer's states after their last steps."""
        videos, steps, _ = inputs.shape
        inputs, found = inputs.transpose(0, 1), []
        for layer in range(self.layers):
            names = (f"inputs_l{layer}", f"recurrent_l{layer}", f"bias_l{layer}")
            weights = [self.get_buffer(name) for name in names]
            hiddens, hidden, cell = torch.onnx.ops.symbolic_multi_out(
                "LSTM",
                [inputs, *weights, lengths.to(torch.int32)],
                {"hidden_size": self.size},
                dtypes=[torch.float32] * 3,
                shapes=[(steps, 1, videos, self.size), *[(1, videos, self.size)] * 2],
            )
            inputs = hiddens[:, 0]
            found.append(States(cell[0], hidden[0]))
        return found


def _reordered(weight: Tensor) -> Tensor:
    """Puts the gates i, f, g, o of a weight or a bias (4H, ...) in ONNX's order: i, o, f, g."""
    i, f, g, o = weight.chunk(4, 0)
    return torch.cat([i, o, f, g], 0)


def _use_operators(module: nn.Module) -> None:
    for name, inner in module.named_children():
        if isinstance(inner, LastStateLSTM):
            setattr(module, name, _Operators(inner))
        else:
            _use_operators(inner)


def session(path: Path, threads: int, **options: Any) -> onnxruntime.InferenceSession:
    """Opens a file in onnxruntime, on the CPU.

    Raises `DataError` where it is no ONNX model, or one that onnxruntime cannot run.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    settings.log_severity_level = 3
    # Threads that wait by spinning slow down whatever else runs in this process.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for name, value in options.items():
        setattr(settings, name, value)
    try:
        return onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no base of their own
        raise DataError(f"'{path}' cannot be opened by onnxruntime: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def loaded(path: Path) -> Callable[[Clips], Tensor]:
    """Opens a file that `onnx_model` was written to; returns what makes logits of clips.

    It uses as many threads as torch does when it is opened.
    """
    opened = session(path, torch.get_num_threads())
    if KEY not in opened.get_modelmeta().custom_metadata_map:
        raise DataError(f"'{path}' is an ONNX model that distillbench did not export")
    names = [given.name for given in opened.get_inputs()]
    slots = int(opened.get_inputs()[names.index("frames")].shape[1])

    def logits(clips: Clips) -> Tensor:
        inputs = {name: value.numpy() for name, value in inputs_of(clips, slots, names).items()}
        return torch.from_numpy(opened.run(["logits"], inputs)[0])

    return logits


def quantized(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """Quantizes a model's matrix products and LSTMs to 8 bits.

    folder: where temporary files may be. Raises `NotApplicableError` where nothing was quantized.
    """
    import onnx
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    basic = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory(dir=folder) as place:
        before, after = Path(place, "before.onnx"), Path(place, "after.onnx")
        before.write_bytes(model.SerializeToString())
        # The basic pass turns what torch computes of weights, such as the order of gates, into
        # plain weights, which alone are quantized.
        session(before, 1, graph_optimization_level=basic, optimized_model_filepath=str(after))
        plain = onnx.load(after)
        _mark_as_prepared(plain)
        quantize_dynamic(plain, before, per_channel=True, weight_type=QuantType.QInt8)
        made = onnx.load(before)
    if not any(node.op_type in _QUANTIZED for node in made.graph.node):
        raise NotApplicableError(["the network has no product of weights that can be quantized"])
    for entry in [each for each in made.metadata_props if each.key != KEY]:
        made.metadata_props.remove(entry)
    return made


_QUANTIZED = ("MatMulInteger", "DynamicQuantizeLSTM", "ConvInteger", "DynamicQuantizeMatMul")


def _mark_as_prepared(model: onnx.ModelProto) -> None:
    """Tells onnxruntime that its own pass was run, which it cannot know and would warn of."""
    entry = model.metadata_props.add()
    entry.key, entry.value = "onnx.quant.pre_process", "onnxruntime.quant"


def readme(about: Mapping[str, Any], path: Path, precision: str) -> str:
    """Writes how to use an ONNX file, with an example of plain onnxruntime."""
    held = session(path, 1)
    inputs = [given.name for given in held.get_inputs()]
    given = held.get_inputs()[inputs.index("frames")]
    kind = {"tensor(uint8)": "uint8", "tensor(float16)": "float16"}.get(given.type, "float32")
    _, slots, width = given.shape
    times = f'inputs["times"] = np.arange({slots})[None]  # their numbers in the video\n'
    times = times if "times" in inputs else ""
    example = f'''import json
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("{path.name}", providers=["CPUExecutionProvider"])
about = json.loads(session.get_modelmeta().custom_metadata_map["{KEY}"])
frames = np.zeros((1, {slots}, {width}), np.{kind})  # the chosen frames of one video, as stored
inputs = {{"frames": frames, "lengths": np.array([{slots}])}}  # how many of them are real
{times}(probabilities,) = session.run(["probabilities"], inputs)
for best in probabilities[0].argsort()[::-1][:5]:
    name = about["class_names"][best] if about["class_names"] else best
    print(f"{{probabilities[0, best]:.4f}}  {{name}}")
'''
    return usage(about, path, f"ONNX, {precision}", inputs, kind, example)
