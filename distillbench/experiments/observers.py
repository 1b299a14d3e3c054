"""Tells plugins how a run goes; one that raises costs nobody a run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from distillbench.errors import ConfigError
from distillbench.interfaces import EpochEnded, RunEnded, RunEvent, RunStarted
from distillbench.printing import printing_to_stderr
from distillbench.registry.discovery import Registry
from distillbench.registry.knobs import nearest
from distillbench.training.callbacks import Observer
from distillbench.untrusted import attempted

T = TypeVar("T")


def check_observers(names: Sequence[str], registry: Registry) -> None:
    """Raises `ConfigError` where a name is not an observer's."""
    known = registry.observers()
    problems = [
        f"no observer is called '{name}'{nearest(name, known)}; there are:"
        f" {', '.join(known) or 'none'}"
        for name in names
        if name not in known
    ]
    if problems:
        raise ConfigError(problems)


def watched(observer: Observer, names: Sequence[str], registry: Registry) -> Observer:
    """Sends the events of a run to the plugins of these names, too."""
    return _Watched(observer, names, registry) if names else observer


class _Watched(Observer):
    """Passes everything on, and the three hooks of observers to plugins as well."""

    def __init__(self, observer: Observer, names: Sequence[str], registry: Registry) -> None:
        check_observers(names, registry)
        self._observer, self._hooks = observer, registry.hooks
        self._plugins = {
            name: plugin.module for name, plugin in registry.observers().items() if name in names
        }
        self._run = RunStarted("", {}, Path())

    def run_started(self, run: Mapping[str, Any]) -> None:
        self._run = RunStarted(run["id"], run["setup"], Path(run["results"]))
        self._observer.run_started(run)
        self._tell("run_started")

    def phase_started(self, name: str, epochs: int, steps: int, done: int) -> None:
        self._observer.phase_started(name, epochs, steps, done)

    def step_ended(self) -> None:
        self._observer.step_ended()

    def epoch_ended(self, row: Mapping[str, Any]) -> None:
        self._observer.epoch_ended(row)
        self._tell("epoch_ended", event=EpochEnded(self._run.key, row))

    def run_ended(self, result: Mapping[str, Any]) -> None:
        self._observer.run_ended(result)
        self._tell("run_ended", event=RunEnded(self._run.key, result))

    def message(self, message: str) -> None:
        self._observer.message(message)

    def _tell(self, hook: str, **event: RunEvent) -> None:
        for name, plugin in list(self._plugins.items()):
            others = [other for other in self._hooks.get_plugins() if other is not plugin]
            tell = self._hooks.subset_hook_caller(hook, others)
            _, failed = _asked(functools.partial(tell, run=self._run, **event))
            if failed:
                del self._plugins[name]
                self.message(f"the observer '{name}' failed and gets no more events: {failed}")


def _asked(ask: Callable[[], T]) -> tuple[T | None, str]:
    """Runs third-party code, which must not end a run.

    What it returned, or None and what it raised.

    What it prints goes to standard error.
    """
    with printing_to_stderr():
        return attempted(ask)
