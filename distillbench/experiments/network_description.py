"""The description of a network in an exported file, and the network built from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from distillbench.config.run_spec import Choice
from distillbench.errors import ConfigError, DataError
from distillbench.interfaces import Codec, Encoder, LearnedSelector
from distillbench.networks import Model, Precision, columns_of, probe, projected
from distillbench.registry.discovery import discover
from distillbench.registry.knobs import bind
from distillbench.untrusted import quoted


def description(
    encoder: Choice,
    head: Choice,
    features: Mapping[str, int],
    codec: Codec,
    classes: int,
    class_names: Sequence[str] | None,
    precision: Precision,
    parts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Describes a network and what it reads, so that `network_from` can build it without any data.

    parts: of the network beside encoder and head: its `learned_selector` and `exit_policy`,
    described, and the `k` of its selector; `projected_to`, the width to which its encoding is
    mapped.
    """
    return {
        "encoder": {"kind": encoder.component.kind, **encoder.describe()},
        "head": head.describe(),
        "features": dict(features),
        "codec": codec.describe(),
        "classes": classes,
        "class_names": None if class_names is None else list(class_names),
        "precision": precision,
        **(parts or {}),
    }


def network_from(about: Mapping[str, Any]) -> nn.Module:
    """Builds the network that an exported file describes, without its weights.

    It is in evaluation mode, on the CPU.

    `network(clips).logits` are (B, C) for clips as they are stored. Raises `ConfigError` where its
    encoder or its head is not installed, `DataError` where this does not describe a network.
    """
    registry = discover()
    try:
        encoder, head = about["encoder"], about["head"]
        wanted = [(encoder["kind"], encoder["name"]), ("head", head["name"])]
        width, classes = sum(about["features"].values()), int(about["classes"])
        codec, precision = _codec(about["codec"]), about["precision"]
        knobs = [dict(encoder["knobs"]), dict(head["knobs"])]
        features = dict(about["features"])
        wanted_width = about.get("projected_to")
        wanted_width = None if wanted_width is None else int(wanted_width)
        for name, kind in _PARTS.items():
            if about.get(name) is not None:
                wanted.append((kind, about[name]["name"]))
                knobs.append(dict(about[name]["knobs"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"this does not describe a network: {error!r} is wrong or missing"
        ) from error
    if precision not in ("fp32", "bf16"):
        raise DataError(f"this does not describe a network: its precision is {quoted(precision)}")
    made, problems = list[Choice](), list[str]()
    for (kind, name), settings in zip(wanted, knobs, strict=True):
        component = registry.find(str(kind), str(name))
        if component is None:
            problems.append(registry.missing(str(kind), str(name)))
            continue
        values, wrong = bind(component.cls, settings, f"{kind} {name}")
        problems += wrong
        made.append(Choice(component, values))
    if problems:
        raise ConfigError(problems)
    built: Encoder = made[0].build(width)
    summary = probe(built, width, classes).summary
    if wanted_width is not None:
        built, summary = projected(built, summary, wanted_width), wanted_width
    model = Model(built, made[1].build(summary, classes), codec, precision, features=features)
    for choice in made[2:]:
        if issubclass(choice.component.cls, LearnedSelector):
            columns = columns_of(features, choice.component.cls.reads)
            shown = width if columns is None else len(columns)
            model.selector = choice.build(shown, int(about["k"]))
        else:
            model.exit_policy = choice.build()
    return model.eval()


def _codec(about: Mapping[str, Any]) -> Codec:
    tuples = {name: tuple(value) for name, value in about.items() if isinstance(value, list)}
    return Codec(**{**about, **tuples})


_PARTS = {"learned_selector": "learned-selector", "exit_policy": "exit-policy"}
"""Parts that a network may have, and the kind of each."""
