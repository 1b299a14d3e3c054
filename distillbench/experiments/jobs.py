"""A run that is packed to be made in another process, and how it is made there."""

from __future__ import annotations

import dataclasses
import functools
import os
import pickle
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import distillbench
from distillbench.config.run_spec import RunSpec, digest
from distillbench.errors import DistillbenchError, Interrupted, NotApplicableError, StoppedError
from distillbench.experiments.context import RunContext, find_device, open_for
from distillbench.experiments.run import run_experiment
from distillbench.interfaces import (
    EpochEnded,
    Failed,
    Finished,
    Message,
    PhaseStarted,
    RunEvent,
    RunJob,
    Splits,
)
from distillbench.registry.discovery import Registry, discover
from distillbench.storage import write_text
from distillbench.training.callbacks import Observer
from distillbench.untrusted import reason_of

_MARK = ".sweep"
_MARKED = "Results of a sweep, whose runs look for this file to know that they see the folder.\n"


@dataclass(frozen=True)
class PackedRun(RunJob):
    """A run's spec and context, pickled.

    They name classes of plugins, which only a registry can import in peace.

    directory: where the sweep was begun.
    versions: of what numbers depend on, where the sweep was begun.
    """

    packed: bytes
    directory: str
    versions: Mapping[str, str]

    def run(self, report: Callable[[RunEvent], object]) -> RunEvent:
        """Makes the run.

        A process makes the registry once, and keeps the last opened data open.
        """
        if wrong := self._why_not_here():
            return Failed(self.key, "failed", wrong)
        try:
            registry = _registry()
            spec, context = pickle.loads(self.packed)
            splits = _open(spec, context, self.data)
            run_experiment(spec, context, registry, _Reporting(self.key, report), splits=splits)
        except NotApplicableError as error:
            return Failed(self.key, "not applicable", "; ".join(error.problems))
        except StoppedError as error:
            return Failed(self.key, "stopped", str(error), error.reached)
        except DistillbenchError as error:
            return Failed(self.key, "failed", str(error))
        except (
            KeyboardInterrupt,
            Interrupted,
        ):  # the user's, where the run is made in the user's process
            raise
        except (
            BaseException
        ) as error:  # a fault of ours or of a plugin costs its run, not the sweep
            return Failed(self.key, "failed", reason_of(error))
        return Finished(self.key)

    def _why_not_here(self) -> str:
        """Goes where the sweep was begun; returns why the run cannot be made on this machine."""
        with suppress(OSError):  # it is asked for below
            if Path(self.directory) != Path.cwd():
                os.chdir(self.directory)
        node = platform.node()
        for place in (Path(self.directory), Path(self.results, _MARK)):
            if not place.exists():
                return (
                    f"{node} does not see '{place}': all machines of a sweep share the folder in"
                    " which it was begun and that of its results"
                )
        found = _versions()
        if found == self.versions:
            return ""
        differ = [name for name, version in self.versions.items() if found.get(name) != version]
        there, here = (
            ", ".join(f"{name} {of[name]}" for name in differ) for of in (found, self.versions)
        )
        return f"{node} has {there}, and the sweep was begun with {here}: install the same"


def packed(spec: RunSpec, context: RunContext) -> RunJob:
    """Packs a run, and leaves in its folder of results what it knows that by anywhere."""
    results = context.results.absolute()
    if not (results / _MARK).exists():
        write_text(results / _MARK, _MARKED)
    return PackedRun(
        spec.key,
        label(spec),
        digest(spec.data.describe()),
        spec.training.threads,
        find_device(context.device, here=False).type,
        str(results),
        pickle.dumps((spec, dataclasses.replace(context, results=results))),
        str(Path.cwd()),
        _versions(),
    )


def _versions() -> dict[str, str]:
    return {"distillbench": distillbench.__version__, "torch": torch.__version__}


def label(spec: RunSpec) -> str:
    """Names a run in a few words; one that a tuning chose the settings of by its arm."""
    losses = f" {objective(spec)}" if len(spec.networks) > 1 else ""
    method = spec.tuned_arm or f"{spec.schedule.name}{losses}"
    if "student" not in spec.sections:
        return f"{spec.data.name} {method} seed {spec.seed}"
    trained = (
        "" if spec.train_selector == spec.selector else f" (trained on {spec.train_selector.name})"
    )
    return f"{spec.data.name} {method} {spec.selector.name}-{spec.k}{trained} seed {spec.seed}"


def objective(spec: RunSpec) -> str:
    """Writes the student's losses, with weights other than 1."""
    weighted = spec.weights.items()
    return ",".join(name if weight == 1 else f"{name}:{weight:g}" for name, weight in weighted)


@functools.cache
def _registry() -> Registry:
    return discover()


_opened: dict[str, Splits] = {}


def _open(spec: RunSpec, context: RunContext, data: str) -> Splits:
    if data not in _opened:
        _opened.clear()
        _opened[data] = open_for(spec, context)
    return _opened[data]


class _Reporting(Observer):
    """Reports phases, epochs and messages as events."""

    def __init__(self, key: str, report: Callable[[RunEvent], object]) -> None:
        self._key, self._report = key, report

    def phase_started(self, name: str, epochs: int, steps: int, done: int) -> None:
        self._report(PhaseStarted(self._key, name, epochs))

    def epoch_ended(self, row: Mapping[str, Any]) -> None:
        self._report(EpochEnded(self._key, dict(row)))

    def message(self, message: str) -> None:
        self._report(Message(self._key, message))
