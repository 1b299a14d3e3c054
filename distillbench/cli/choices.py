"""From what was typed to setups: the layers of a question, resolved against what is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from distillbench.config import Layer, flags, read_file
from distillbench.errors import ConfigError
from distillbench.grid import Setup, setups
from distillbench.registry import discover


def layers(question: Path | None, choices: Mapping[str, object], assignments: Sequence[str]) -> list[Layer]:
    """Orders what was said: the question file first, then the flags, which win."""
    said = [] if question is None else [read_file(question)]
    return [*said, flags(choices, assignments)]


def one_setup(asked: Sequence[Layer]) -> Setup:
    """Resolves a question that has one answer; raises `ConfigError` where some setting is a list."""
    found = setups(asked, discover())
    if len(found) != 1:
        raise ConfigError([f"this question has {len(found)} runs, and run answers one: leave no setting a list"])
    return found[0]
