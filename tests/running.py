"""The calls that tests make most, with the registry of what is installed."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distillbench.cli import choices
from distillbench.registry import Registry, discover
from distillbench.results import answer as running
from distillbench.results.answer import Workplace
from distillbench.results.record import Result
from distillbench.setup import Setup
from distillbench.training.observer import SILENT, Observer


@functools.cache
def installed() -> Registry:
    return discover()


def answer(setup: Setup, place: Workplace, observer: Observer = SILENT, **more: Any) -> Result:
    return running.answer(setup, place, installed(), observer, **more)


def all_setups(question: Path | None, flags: Mapping[str, object], assignments: Sequence[str]) -> list[Setup]:
    return choices.all_setups(installed(), question, flags, assignments)
