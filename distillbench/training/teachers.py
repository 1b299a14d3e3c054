"""Trained teachers, kept under a key of everything that shaped them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distillbench.errors import ResultError
from distillbench.interfaces import INTERFACE_VERSION, Phase
from distillbench.setup import digest, without_releases
from distillbench.storage import load_tensors, save_tensors
from distillbench.training.assemble import Parts
from distillbench.training.checkpoint import check_history, misfit
from distillbench.training.signal_store import BUDGET, SignalStore


@dataclass(frozen=True)
class StoredTeacher:
    """A teacher's weights and the history of its training."""

    weights: dict[str, Tensor]
    history: list[dict[str, Any]]


def teacher_key(parts: Parts, phase: Phase) -> str:
    """Hashes everything that shapes the teacher that a phase trains alone: data, parts, training, seed, machine kind."""
    setup = parts.setup
    described = without_releases(setup.describe())
    losses = {name: described["losses"][name] for name in phase.objectives["teacher"]}
    return digest(
        {
            "interface": INTERFACE_VERSION,
            "torch": torch.__version__,
            "device": parts.device.type,
            "threads": setup.training.all_threads,
            "precision": parts.precision,
            "data": [described["data"]["name"], parts.splits.train.fingerprint, parts.splits.validation.fingerprint],
            "phase": [phase.name, phase.epochs, dict(phase.objectives["teacher"])],
            "losses": losses,
            **{name: described[name] for name in ("teacher", "head", "teacher_selector", "training", "seed")},
        }
    )


def trains_teacher_alone(phase: Phase) -> bool:
    """Tells whether what a phase makes of the teacher depends on nothing but the teacher."""
    return set(phase.objectives) == {"teacher"} and not phase.starts and phase.head == "separate"


class TeacherStore:
    """A folder of trained teachers; `refresh` trains them again where they are there already.

    signals: what teachers said of training videos, in a folder below it; `signals_budget` is its budget in bytes.
    """

    def __init__(self, folder: Path, refresh: bool = False, signals_budget: int = BUDGET) -> None:
        self.folder, self._refresh = folder, refresh
        self.signals = SignalStore(folder / "signals", signals_budget)

    def find(
        self, key: str, like: Mapping[str, Tensor] | None = None, say: Callable[[str], object] | None = None
    ) -> StoredTeacher | None:
        """Returns the teacher of that key, or None; `say` is told of one that is damaged, which counts as none.

        like: the state of a network that it must fit.
        """
        path = self._path(key)
        if self._refresh or not path.exists():
            return None
        try:
            weights, about = load_tensors(path)
            check_history(about.get("history"))
            wrong = misfit(weights if like is None else like, weights)
            if about.get("key") != key:
                wrong = "it was stored under another key"
            if wrong:
                raise ValueError(wrong)
        except (ResultError, ValueError) as error:
            if say is not None:
                told = str(error) if isinstance(error, ResultError) else f"'{path}' is no trained teacher: {error}"
                say(f"{told}; the teacher is trained again")
            return None
        return StoredTeacher(weights, about["history"])

    def keep(self, key: str, weights: dict[str, Tensor], history: Sequence[dict[str, Any]]) -> None:
        """Stores a teacher."""
        save_tensors(self._path(key), weights, {"key": key, "history": list(history)})

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"
