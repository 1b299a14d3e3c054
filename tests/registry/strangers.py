"""What a strange plugin did to the registry."""

from __future__ import annotations

from collections.abc import Callable

from distillbench.registry.discovery import Failure, Registry
from distillbench.registry.kinds import KINDS

Discovered = Callable[[str], Registry]
SAID = ("hostile-methods", "6.6")


def third_parties(registry: Registry) -> list[Failure]:
    ours = [c for c in registry if c.distribution == "distillbench"]
    assert {c.kind for c in ours} == {*KINDS}, "what is good stays"
    return [f for f in registry.failures if (f.distribution, f.version) == SAID]
