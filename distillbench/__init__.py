"""distillbench: the place where distillation methods for efficient video classification are compared honestly."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from distillbench.api import (
        Failure,
        Run,
        compare,
        leaderboard,
        load,
        network_from,
        predict,
        run,
        sweep,
    )

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("distillbench")
"""Marks a plugin's functions as implementations of the hooks in `distillbench.registry.hookspecs`."""

__all__ = [
    "Failure",
    "Run",
    "__version__",
    "compare",
    "hookimpl",
    "leaderboard",
    "load",
    "network_from",
    "predict",
    "run",
    "sweep",
]


def __getattr__(name: str) -> object:
    """Finds what is not here yet in `distillbench.api`, which imports torch, when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'distillbench' has no attribute '{name}'")
    found: object = getattr(importlib.import_module("distillbench.api"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
