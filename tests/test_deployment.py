"""The deployed form scores as the network does, whatever the lengths; what has none is refused."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from running import installed
from torch import nn

from distillbench.config.run_spec import Choice
from distillbench.deployment import Deployed, deployed, inputs_of, traced
from distillbench.errors import NotApplicableError
from distillbench.interfaces import Clips, Codec, Encoder, Encoding
from distillbench.networks import Model, probe
from distillbench.registry.discovery import Component
from distillbench.testing import toys
from distillbench_plugins.exit_policies.margin import Margin

SLOTS = 7
CODEC = Codec(scale=0.03, offset=-4.0)
ENCODERS = [c for c in installed() if c.kind == "student" and c.distribution == "distillbench"]
HEADS = [c for c in installed() if c.kind == "head" and c.distribution == "distillbench"]
POLICIES = [c for c in installed() if c.kind == "exit-policy"]
CLIPS = st.lists(st.integers(1, SLOTS), min_size=1, max_size=4)


def choice(component: Component, **knobs: object) -> Choice:
    return Choice(component, {**getattr(component.cls, "check_knobs", {}), **knobs})


def named(name: str) -> Component:
    return next(component for component in ENCODERS if component.name == name)


def model_of(encoder: nn.Module, head: Component) -> Model:
    summary = probe(encoder, toys.WIDTH, toys.CLASSES).summary  # type: ignore[arg-type]
    built = choice(head).build(summary, toys.CLASSES)
    return Model(encoder, built, CODEC, features={"toy": toys.WIDTH}).eval()  # type: ignore[arg-type]


@cache
def both(encoder: str, head: str = HEADS[0].name, **knobs: Any) -> tuple[Model, Deployed]:
    torch.manual_seed(0)
    chosen = next(component for component in HEADS if component.name == head)
    model = model_of(choice(named(encoder), **knobs).build(toys.WIDTH), chosen)
    return model, deployed(model, stored([3]), {"frames": SLOTS})


def stored(lengths: list[int], seed: int = 0) -> Clips:
    """Clips of uint8 frames, of which no more were requested than there are slots."""
    clips = toys.clips(lengths, seed=seed)
    frames = ((clips.frames * 200 + 128).clamp(0, 255) * clips.mask()[:, :, None]).to(torch.uint8)
    return Clips(frames, clips.lengths, clips.times, SLOTS)


def outputs(form: Deployed, clips: Clips) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        found: tuple[torch.Tensor, ...] = form(**inputs_of(clips, SLOTS))
    return found


def agree(pair: tuple[Model, Deployed], lengths: list[int]) -> None:
    model, form = pair
    clips = stored(lengths, seed=sum(lengths))
    with torch.no_grad():
        expected = model(clips).logits
    logits, probabilities = outputs(form, clips)
    torch.testing.assert_close(logits, expected, rtol=2e-6, atol=5e-7)
    torch.testing.assert_close(probabilities, logits.sigmoid())


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda component: component.name)
@settings(max_examples=10, deadline=None)
@given(CLIPS)
def test_an_encoder_scores_as_it_does_in_the_network(
    encoder: Component, lengths: list[int]
) -> None:
    agree(both(encoder.name), lengths)


@pytest.mark.parametrize("head", HEADS, ids=lambda component: component.name)
def test_a_head_scores_as_it_does_in_the_network(head: Component) -> None:
    agree(both("mean-pool", head.name), [7, 2, 1])


SHAPES: list[dict[str, Any]] = [
    {"block_length": 3},
    {"block_length": 20},
    {"block_count": 3},
    {"zero_slots": -1},
    {"zero_slots": 5, "state": "top"},
    {"layers": 3, "block_length": 2},
]


@pytest.mark.parametrize("number", range(len(SHAPES)), ids=lambda number: str(SHAPES[number]))
@settings(max_examples=15, deadline=None)
@given(CLIPS)
def test_every_shape_of_the_hierarchical_rnn_has_a_static_form(
    number: int, lengths: list[int]
) -> None:
    agree(both("hrnn", **SHAPES[number]), lengths)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda component: component.name)
@pytest.mark.parametrize("encoder", ["frameexit", "lstm", "gru"])
def test_each_video_stops_where_it_stops_in_the_network(encoder: str, policy: Component) -> None:
    torch.manual_seed(3)
    model = model_of(choice(named(encoder), exits="2,4").build(toys.WIDTH), HEADS[0])
    clips = stored([7, 5, 3, 1, 6, 7, 2], 3)
    model.exit_policy = policy.cls()  # type: ignore[assignment]
    with torch.no_grad():
        logits = [model.up_to(model.decoded(clips, None), frames)[1] for frames in (2, 4, 7)]
        model.exit_policy.tune(logits, torch.zeros(7, toys.CLASSES), [2, 4, 7])  # type: ignore[union-attr]
        expected = model(clips)
    form = deployed(model, clips, {"frames": SLOTS})
    found = dict(zip(form.outputs, outputs(form, clips), strict=True))
    assert found["used"].tolist() == expected.used.tolist()
    torch.testing.assert_close(found["logits"], expected.logits, rtol=2e-6, atol=5e-7)


def test_what_lies_in_empty_slots_plays_no_part() -> None:
    _, form = both("hrnn")
    clips = stored([2, 7, 4])
    inputs = inputs_of(clips, SLOTS)
    noise = torch.randint(0, 256, inputs["frames"].shape, dtype=torch.uint8)
    real = (torch.arange(SLOTS) < clips.lengths[:, None])[:, :, None]
    with torch.no_grad():
        found = form(**{**inputs, "frames": torch.where(real, inputs["frames"], noise)})
    torch.testing.assert_close(found[0], outputs(form, clips)[0])


def test_probabilities_of_exclusive_classes_add_up_to_1() -> None:
    model, _ = both("mean-pool")
    about = {"frames": SLOTS, "label_kind": "single-label"}
    found = outputs(deployed(model, stored([3]), about), stored([7, 2]))
    torch.testing.assert_close(found[1].sum(1), torch.ones(2))


def test_the_network_stays_as_it_is() -> None:
    torch.manual_seed(0)
    model = model_of(choice(named("hrnn")).build(toys.WIDTH), HEADS[0])
    model.precision = "bf16"
    modules = [type(module) for module in model.modules()]
    form = deployed(model, stored([3]), {"frames": SLOTS})
    assert form.model.precision == "fp32"
    assert model.precision == "bf16"
    assert [type(module) for module in model.modules()] == modules
    assert all(weight.requires_grad for weight in model.parameters())


def test_a_learned_selector_is_refused_by_name() -> None:
    selector: Any = next(c for c in installed() if c.kind == "learned-selector")
    model = model_of(choice(named("mean-pool")).build(toys.WIDTH), HEADS[0])
    model.selector = selector.cls(toys.WIDTH, 3)
    with pytest.raises(NotApplicableError, match=f"{selector.cls.__name__} is a part of the"):
        deployed(model, stored([3]), {"frames": SLOTS})


def test_anything_else_is_no_network() -> None:
    with pytest.raises(NotApplicableError, match="Linear is not a network of distillbench"):
        deployed(nn.Linear(2, 2), stored([3]), {"frames": SLOTS})


class Trimmed(Encoder):
    """Cuts the batch to its longest video, which a number decides."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 4)

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        frames = clips.frames[:, : int(clips.lengths.max())]
        return Encoding(self.linear(frames).mean(1))


class Fixed(Trimmed):
    """Takes the number of videos for a constant."""

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        videos = len(clips.frames)
        return Encoding(self.linear(clips.frames).reshape(videos, -1, 4).mean(1))


@pytest.mark.parametrize("encoder", [Trimmed, Fixed])
def test_what_cannot_be_traced_says_why(encoder: type[Trimmed]) -> None:
    model = model_of(encoder(toys.WIDTH), HEADS[0])
    form = deployed(model, stored([3]), {"frames": SLOTS})
    with pytest.raises(NotApplicableError, match=r"cannot be traced: .*with_static_shapes") as told:
        traced(form)
    assert len(str(told.value)) < 700


def test_a_tuned_policy_is_copied_and_not_shared() -> None:
    torch.manual_seed(0)
    model = model_of(choice(named("lstm"), exits="2").build(toys.WIDTH), HEADS[0])
    policy = Margin()
    model.exit_policy = policy
    form = deployed(model, stored([3]), {"frames": SLOTS})
    policy.thresholds.values.zero_()
    copied: Any = form.model.exit_policy
    assert torch.isinf(copied.thresholds.values).all()
