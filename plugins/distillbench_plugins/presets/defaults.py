"""The defaults of a run: the paper's method on the built-in data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from distillbench import hookimpl
from distillbench.interfaces import Preset


class Defaults(Preset):
    """The choices of a run that nobody made: the paper's method on the built-in data."""

    is_default: ClassVar[bool] = True

    def settings(self, k: int) -> Mapping[str, object]:
        """Returns a choice for every component."""
        return {
            "data": "digits",
            "teacher": "hrnn",
            "student": "hrnn",
            "head": "moe",
            "selector": "uniform",
            "teacher_selector": "all",
            "loss": "rep,ce,pred",
            "schedule": "serial",
        }


@hookimpl
def presets() -> dict[str, type[Preset]]:
    """Offers `defaults`."""
    return {"defaults": Defaults}
