"""Runs a row again from its file and compares every number."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillbench.errors import ResultError
from distillbench.experiments.context import RunContext
from distillbench.experiments.restore import spec_of
from distillbench.experiments.run import run_experiment
from distillbench.registry.discovery import Registry
from distillbench.results.store import Result
from distillbench.training.callbacks import SILENT, Observer

_COMPARED = ("metrics", "cost", "fidelity", "history")
_MEASURED = ("seconds", "latency", "evaluation_seconds", "peak_memory")
"""What is measured by a clock or an allocator, which no second run repeats."""


@dataclass(frozen=True)
class Number:
    """One number, then and now."""

    name: str
    then: object
    now: object

    @property
    def agrees(self) -> bool:
        """Whether it is the same to the last bit."""
        return self.then == self.now


@dataclass(frozen=True)
class Reproduction:
    """The numbers that training and evaluation determine, and what differs around the run."""

    numbers: tuple[Number, ...]
    surroundings: tuple[Number, ...]

    @property
    def agrees(self) -> bool:
        """Whether every number agrees."""
        return all(number.agrees for number in self.numbers)


def reproduce(
    result: Result, registry: Registry, device: str = "auto", observer: Observer = SILENT
) -> Reproduction:
    """Makes a row's run again, teacher included, in a temporary folder.

    `ResultError` for a row in 8 bits or of an exported file.
    """
    record = result.record
    if record.quantized_from or record.exported_from:
        source, then = record.quantized_from or record.exported_from, "quantize"
        then = "export" if record.exported_from else then
        raise ResultError(
            f"run {result.id} was never trained: reproduce {source}, then distillbench {then}"
            f" {source}"
        )
    spec = spec_of(result, registry)
    with tempfile.TemporaryDirectory(prefix="distillbench-") as folder:
        again = run_experiment(spec, RunContext(Path(folder), device), registry, observer)
    numbers = _numbers(result.content, again.content, _COMPARED)
    around = _numbers(result.content, again.content, ("data", "machine", "versions", "commit"))
    return Reproduction(tuple(numbers), tuple(number for number in around if not number.agrees))


def _numbers(
    then: Mapping[str, Any], now: Mapping[str, Any], parts: tuple[str, ...]
) -> list[Number]:
    ours, theirs = (dict(_leaves({name: c.get(name) for name in parts}, "")) for c in (then, now))
    return [
        Number(name, ours.get(name), theirs.get(name)) for name in dict.fromkeys([*ours, *theirs])
    ]


def _leaves(value: Any, name: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in _MEASURED:
                yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{name}[{number}]")
    else:
        yield name, value
