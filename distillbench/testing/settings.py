"""Whether settings that a component recommends are settings that runs have."""

from __future__ import annotations

from collections.abc import Mapping

from distillbench.config.layers import Layer, Training, unknown_names
from distillbench.registry.knobs import bind


def problems_of(settings: Mapping[str, object], source: str) -> list[str]:
    """Lists the names among settings that no run has, and the training settings of a wrong type."""
    prefix = "training."
    training = {
        n.removeprefix(prefix): value for n, value in settings.items() if n.startswith(prefix)
    }
    return [*unknown_names(Layer(source, settings)), *bind(Training, training, "training")[1]]
