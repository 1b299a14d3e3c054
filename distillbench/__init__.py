"""distillbench: the place where distillation methods for efficient video classification are compared honestly."""

from __future__ import annotations

import pluggy

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("distillbench")
"""Marks a plugin's functions as implementations of the hooks in `distillbench.hookspecs`."""

__all__ = ["__version__", "hookimpl"]
