"""Any image model of timm."""

from __future__ import annotations

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import Backbone, PictureEncoder
from distillbench_plugins.layers.pictures import OnPixels


class Timm(Backbone):
    """Encodes a picture by an image model of timm, before its classifier.

    Weights are those that timm finds in its cache or downloads; size, crop, mean and deviation are
    those that the model was trained with.

    Knobs:
        model: its name in timm, such as `resnet50.a1_in1k`.
    """

    def __init__(self, *, model: str = "") -> None:
        self._model = model

    def load(self) -> PictureEncoder:
        """Has timm create the model with its weights."""
        if not self._model:
            raise ConfigError(["the backbone 'timm' needs a model: --set backbone.model=NAME"])
        try:
            import timm
        except ImportError as error:
            raise ConfigError(["the backbone 'timm' needs timm: pip install timm"]) from error
        try:
            network = timm.create_model(self._model, pretrained=True, num_classes=0)
        except (RuntimeError, OSError, ValueError) as error:
            raise ConfigError([f"timm has no weights of '{self._model}': {error}"]) from error
        how = timm.data.resolve_model_data_config(network)
        encoder = OnPixels(network, how["mean"], how["std"]).eval().requires_grad_(False)
        return PictureEncoder(encoder, int(how["input_size"][-1]), float(how["crop_pct"]))


@hookimpl
def backbones() -> dict[str, type[Backbone]]:
    """Offers `timm`."""
    return {"timm": Timm}
