"""Any image encoder of OpenCLIP."""

from __future__ import annotations

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import Backbone, PictureEncoder
from distillbench_plugins.layers.pictures import OnPixels


class OpenClip(Backbone):
    """Encodes a picture by the image encoder of a CLIP model of OpenCLIP; not normalised.

    Weights are those that OpenCLIP finds in its cache or downloads; size, mean and deviation are
    the model's.

    Knobs:
        model: its name in OpenCLIP, such as `ViT-B-32`.
        pretrained: the name of its weights, such as `openai`, or their file.
    """

    def __init__(self, *, model: str = "", pretrained: str = "openai") -> None:
        self._model, self._pretrained = model, pretrained

    def load(self) -> PictureEncoder:
        """Has OpenCLIP create the model with its weights."""
        if not self._model:
            raise ConfigError(["the backbone 'open-clip' needs a model: --set backbone.model=NAME"])
        try:
            import open_clip
        except ImportError as error:
            raise ConfigError(
                ["the backbone 'open-clip' needs OpenCLIP: pip install open-clip-torch"]
            ) from error
        try:
            clip = open_clip.create_model(self._model, pretrained=self._pretrained)
        except (RuntimeError, OSError, ValueError) as error:
            raise ConfigError(
                [f"OpenCLIP has no weights '{self._pretrained}' of '{self._model}': {error}"]
            ) from error
        visual = clip.visual
        size = visual.image_size
        encoder = OnPixels(visual, visual.image_mean, visual.image_std)
        encoder.eval().requires_grad_(False)
        return PictureEncoder(encoder, int(size[0] if isinstance(size, (tuple, list)) else size))


@hookimpl
def backbones() -> dict[str, type[Backbone]]:
    """Offers `open-clip`."""
    return {"open-clip": OpenClip}
