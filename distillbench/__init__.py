"""distillbench: compare distillation methods for efficient video classification honestly."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from distillbench.api import (
        Failure,
        Run,
        TunedArm,
        compare,
        contrasts,
        leaderboard,
        load,
        network_from,
        predict,
        publish,
        run,
        sweep,
        tune,
    )

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("distillbench")
"""Marks a plugin's functions as hooks of `distillbench.registry.hookspecs`."""

__all__ = [
    "Failure",
    "Run",
    "TunedArm",
    "__version__",
    "compare",
    "contrasts",
    "hookimpl",
    "leaderboard",
    "load",
    "network_from",
    "predict",
    "publish",
    "run",
    "sweep",
    "tune",
]


def __getattr__(name: str) -> object:
    """Imports a public name from `distillbench.api` when it is first used.

    That module imports torch, which takes a second.
    """
    if name not in __all__:
        raise AttributeError(f"module 'distillbench' has no attribute '{name}'")
    found: object = getattr(importlib.import_module("distillbench.api"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
