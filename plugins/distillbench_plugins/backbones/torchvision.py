"""Any classifier of torchvision."""

from __future__ import annotations

from torch import nn

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import Backbone, PictureEncoder
from distillbench_plugins.layers.pictures import OnPixels


class Torchvision(Backbone):
    """Encodes a picture by a classifier of torchvision, before its last linear layer.

    Weights are the model's default ones, which torchvision finds in its cache or downloads; size,
    crop, mean and deviation are those that come with them.

    Knobs:
        model: its name in torchvision, such as `mobilenet_v3_large`.
    """

    def __init__(self, *, model: str = "") -> None:
        self._model = model

    def load(self) -> PictureEncoder:
        """Has torchvision build the model with its weights."""
        if not self._model:
            raise ConfigError(
                ["the backbone 'torchvision' needs a model: --set backbone.model=NAME"]
            )
        try:
            from torchvision import models
        except ImportError as error:
            raise ConfigError(
                ["the backbone 'torchvision' needs torchvision: pip install torchvision"]
            ) from error
        try:
            weights = models.get_model_weights(self._model).DEFAULT
            network = models.get_model(self._model, weights=weights)
        except (RuntimeError, OSError, ValueError) as error:
            raise ConfigError(
                [f"torchvision has no weights of '{self._model}': {error}"]
            ) from error
        how = weights.transforms()
        _end_before_classes(network, self._model)
        encoder = OnPixels(network, how.mean, how.std).eval().requires_grad_(False)
        size, of = int(how.crop_size[0]), int(how.resize_size[0])
        return PictureEncoder(encoder, size, min(1.0, size / of))


def _end_before_classes(network: nn.Module, model: str) -> None:
    """Takes away a network's last linear layer, which is its classifier's."""
    linear = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise ConfigError([f"torchvision's '{model}' does not end in a linear layer"])
    owner, _, last = linear[-1].rpartition(".")
    setattr(network.get_submodule(owner), last, nn.Identity())


@hookimpl
def backbones() -> dict[str, type[Backbone]]:
    """Offers `torchvision`."""
    return {"torchvision": Torchvision}
