"""A network for inference in 8 bits.

Weights quantised once, for each output apart, activations at every product.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch import nn
from torch.ao.nn.quantized.dynamic import Linear as Int8Linear
from torch.ao.nn.quantized.dynamic.modules.rnn import RNNBase as Int8RNN

from distillbench.errors import NotApplicableError
from distillbench.networks import Model


def quantized(model: Model) -> Model:
    """Copies a network to the CPU, dynamically quantized to int8.

    Every `nn.Linear`, `nn.LSTM` and `nn.GRU` is quantized.

    A module with products of its own takes part if it offers `with_linears() -> nn.Module`, an
    equal module for inference whose products are `nn.Linear`s. All else stays as it is. Raises
    `NotApplicableError` where there is nothing to quantize.
    """
    made = copy.deepcopy(model).to("cpu").eval()
    made.precision = "fp32"
    _expose_linears(made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces that torchao is to take its place
        kinds: dict[Any, Any] = {
            nn.Linear: torch.ao.quantization.per_channel_dynamic_qconfig,
            nn.LSTM: torch.ao.quantization.default_dynamic_qconfig,
            nn.GRU: torch.ao.quantization.default_dynamic_qconfig,
        }
        torch.ao.quantization.quantize_dynamic(made, kinds, inplace=True)  # type: ignore[no-untyped-call]
    if not any(isinstance(module, _QUANTIZED) for module in made.modules()):
        raise NotApplicableError(
            [
                "the network has no nn.Linear, nn.LSTM or nn.GRU, and no module with"
                " with_linears(): nothing to quantise"
            ]
        )
    return made


def weight_bytes(model: nn.Module) -> int:
    """Counts the bytes of a network's weights, quantized ones included."""
    plain = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    packed: list[Any] = [module for module in model.modules() if isinstance(module, _QUANTIZED)]
    return plain + sum(_packed_bytes(module) for module in packed)


_QUANTIZED = (Int8Linear, Int8RNN)


def _packed_bytes(module: Any) -> int:
    rnn = hasattr(module, "get_weight")
    held = (
        [*module.get_weight().values(), *module.get_bias().values()]
        if rnn
        else [module.weight(), module.bias()]
    )
    return sum(t.numel() * t.element_size() for t in held if t is not None)


def _expose_linears(module: nn.Module) -> None:
    for name, inner in module.named_children():
        offered: Any = getattr(inner, "with_linears", None)
        if offered is not None:
            setattr(module, name, offered().eval())
        else:
            _expose_linears(inner)
