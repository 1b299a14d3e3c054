"""Finds a backbone, and holds it to its word."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from distillbench.config.run_spec import Choice
from distillbench.errors import ConfigError, PluginError
from distillbench.interfaces import Backbone, PictureEncoder
from distillbench.registry.discovery import Registry
from distillbench.registry.knobs import bind
from distillbench.untrusted import quoted
from distillbench.video.pictures import Picture, Square

_LARGEST = 4096  # pixels of a side
_BATCH = 8  # pictures; more do not fit the caches of a core


def backbone_of(registry: Registry, name: str, knobs: Mapping[str, object]) -> Choice:
    """Finds a backbone; raises `ConfigError` where it or a knob is not there."""
    component = registry.find("backbone", name)
    if component is None:
        raise ConfigError([registry.missing("backbone", name)])
    values, problems = bind(component.cls, knobs, f"backbone {name}")
    if problems:
        raise ConfigError(problems)
    return Choice(component, values)


def usual_backbone(registry: Registry) -> str:
    """Returns the name of the backbone that is taken where none is named."""
    for component in registry:
        if issubclass(component.cls, Backbone) and component.cls.is_default:
            return component.name
    raise ConfigError(["no installed backbone is the usual one; --backbone names one"])


class LoadedBackbone:
    """A backbone on a device; raises `PluginError`, which names it, where it breaks its word.

    square: the part of a frame that it is shown.
    width: how many numbers it makes of a picture.
    """

    def __init__(self, choice: Choice, device: torch.device) -> None:
        """Loads the weights, and encodes a blank picture."""
        self._component, self._device = choice.component, device
        backbone = choice.build()
        with self._component.guarded():
            loaded: object = backbone.load()
            if wrong := _wrong(loaded):
                raise PluginError(f"{self._component.title}: load() returned {wrong}")
            assert isinstance(loaded, PictureEncoder)
            self._network = loaded.network.to(device).eval()
        self.square = Square(loaded.size, loaded.crop)
        blank = torch.zeros(1, 3, loaded.size, loaded.size, dtype=torch.uint8)
        self.width = self.encode(blank.numpy()).shape[1]

    def encode(self, pictures: Picture) -> Tensor:
        """Encodes pictures (F, 3, S, S): (F, D) float32 on the CPU."""
        given = torch.from_numpy(pictures)
        if not len(given):
            return torch.empty(0, self.width)
        with self._component.guarded(), torch.inference_mode():
            parts = [self._network(part.to(self._device)) for part in torch.split(given, _BATCH)]
            encoded = torch.cat(parts).float().cpu()
            if encoded.ndim != 2 or len(encoded) != len(given):
                raise PluginError(
                    f"{self._component.title} encoded {len(given)} pictures as numbers of shape"
                    f" {tuple(encoded.shape)}"
                )
        return encoded


def _wrong(loaded: object) -> str:
    """Says what is wrong with what a backbone loaded; nothing where it can be used."""
    if not isinstance(loaded, PictureEncoder):
        return f"{quoted(loaded)}, which is no PictureEncoder"
    if not isinstance(loaded.network, nn.Module):
        return "a network that is no torch module"
    if type(loaded.size) is not int or not 1 <= loaded.size <= _LARGEST:
        return f"a size of {quoted(loaded.size)}, which is not from 1 to {_LARGEST:,}"
    if not isinstance(loaded.crop, (int, float)) or not 0 < loaded.crop <= 1:
        return f"a crop of {quoted(loaded.crop)}, which is not above 0 and at most 1"
    return ""
