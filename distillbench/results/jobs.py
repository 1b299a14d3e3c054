"""A run that is packed to be made in another process, and how it is made there."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from distillbench.errors import DistillbenchError, Interrupted, NotApplicableError
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
from distillbench.quoting import reason_of
from distillbench.registry import Registry, discover
from distillbench.results.answer import Workplace, answer, find_device
from distillbench.setup import Setup, digest
from distillbench.training.assemble import open_data
from distillbench.training.observer import Observer


@dataclass(frozen=True)
class PackedRun(RunJob):
    """A run's setup and workplace, pickled: they name classes of plugins, which only a registry can import in peace."""

    packed: bytes

    def run(self, report: Callable[[RunEvent], object]) -> RunEvent:
        """Makes the run; the registry is made once in a process, and the data that was opened last stays open."""
        try:
            registry = _registry()
            setup, workplace = pickle.loads(self.packed)
            splits = _open(setup, self.data)
            answer(setup, workplace, registry, _Reporting(self.key, report), splits=splits)
        except NotApplicableError as error:
            return Failed(self.key, "not applicable", "; ".join(error.problems))
        except DistillbenchError as error:
            return Failed(self.key, "failed", str(error))
        except (KeyboardInterrupt, Interrupted):  # the user's, where the run is made in the user's process
            raise
        except BaseException as error:  # a fault of ours or of a plugin costs its run, not the sweep
            return Failed(self.key, "failed", reason_of(error))
        return Finished(self.key)


def packed(setup: Setup, workplace: Workplace) -> RunJob:
    """Packs a run."""
    return PackedRun(
        setup.key,
        label(setup),
        digest(setup.data.describe()),
        setup.training.threads,
        find_device(workplace.device).type,
        pickle.dumps((setup, workplace)),
    )


def label(setup: Setup) -> str:
    """Names a run in a few words."""
    if "student" not in setup.sections:
        return f"{setup.data.name} {setup.schedule.name} seed {setup.seed}"
    trained = "" if setup.train_selector == setup.selector else f" (trained on {setup.train_selector.name})"
    frames = f"{setup.selector.name}-{setup.k}{trained}"
    losses = f" {objective(setup)}" if len(setup.networks) > 1 else ""
    return f"{setup.data.name} {setup.schedule.name}{losses} {frames} seed {setup.seed}"


def objective(setup: Setup) -> str:
    """Writes the student's losses, with weights other than 1."""
    weighted = setup.weights.items()
    return ",".join(name if weight == 1 else f"{name}:{weight:g}" for name, weight in weighted)


@functools.cache
def _registry() -> Registry:
    return discover()


_opened: dict[str, Splits] = {}


def _open(setup: Setup, data: str) -> Splits:
    if data not in _opened:
        _opened.clear()
        _opened[data] = open_data(setup)
    return _opened[data]


class _Reporting(Observer):
    """Reports phases, epochs and messages as events."""

    def __init__(self, key: str, report: Callable[[RunEvent], object]) -> None:
        self._key, self._report = key, report

    def phase_started(self, name: str, epochs: int, steps: int, done: int) -> None:
        self._report(PhaseStarted(self._key, name, epochs))

    def epoch_ended(self, row: Mapping[str, Any]) -> None:
        self._report(EpochEnded(self._key, dict(row)))

    def said(self, message: str) -> None:
        self._report(Message(self._key, message))
