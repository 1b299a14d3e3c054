"""Trained teachers, kept under a key of everything that shaped them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distillbench.config.run_spec import RunSpec, digest, without_releases
from distillbench.config.schedule_rules import changed_by, members_of, networks_of, teacher_of
from distillbench.errors import ResultError
from distillbench.interfaces import INTERFACE_VERSION, Phase, ViewSpec
from distillbench.storage import load_tensors, save_tensors
from distillbench.training.build import Experiment, key_of
from distillbench.training.checkpoint import check_history, mismatch
from distillbench.training.output_cache import BUDGET, OutputCache
from distillbench.training.phase_starts import tied


@dataclass(frozen=True)
class StoredPhase:
    """The weights of the networks that a phase trained, by network and name, and the history of their training."""

    weights: dict[str, Tensor]
    history: list[dict[str, Any]]


def is_shareable(spec: RunSpec, number: int) -> bool:
    """Tells whether other runs may use what a phase trained: teachers, whatever student comes after them.

    Such a phase trains nothing that the run reports, unless that is a teacher itself, and its losses
    keep nothing for a later phase.
    """
    phase, later = spec.phases[number], spec.phases[number + 1 :]
    changed = changed_by(phase)
    teachers = all(spec.networks[name].section == "teacher" for name in changed)
    if not phase.epochs or tied(phase) or (spec.reports in changed and not teachers):
        return False
    used = {key_of(n, t) for n, learner in phase.learners.items() for t in learner.terms}
    again = {
        key_of(n, t) for p in later for n, learner in p.learners.items() for t in learner.terms
    }
    matching = {key for key in used if key.teacher}
    return not matching & again


def phase_key(experiment: Experiment, number: int) -> str:
    """Hashes everything that shapes what a phase trains: data, parts, training, seed, machine kind, phases before it."""
    spec = experiment.spec
    described = without_releases(spec.describe())
    needed, shaping = networks_of(spec.phases[number]), [number]
    for earlier in range(number - 1, -1, -1):
        if changed_by(spec.phases[earlier]) & needed:
            needed |= networks_of(spec.phases[earlier])
            shaping.insert(0, earlier)
    phases = [described["phases"][n] for n in shaping]
    losses = {
        t["loss"] for p in phases for learner in p["learners"].values() for t in learner["terms"]
    }
    networks = {name: described["networks"][name] for name in sorted(needed)}
    selectors = {view.selector for n in shaping for view in _views(spec, spec.phases[n], needed)}
    sections = {*(network["section"] for network in networks.values()), *selectors}
    if "selector" in sections:
        sections.add("train_selector")
    return digest(
        {
            "interface": INTERFACE_VERSION,
            "torch": torch.__version__,
            "device": experiment.device.type,
            "threads": spec.training.all_threads,
            "precision": experiment.precision,
            "data": [
                described["data"]["name"],
                experiment.splits.train.fingerprint,
                experiment.splits.validation.fingerprint,
                *_metrics_of(spec.data.component.cls),
            ],
            "phases": phases,
            "networks": networks,
            "losses": {name: described["losses"][name] for name in sorted(losses)},
            "k": spec.k if sections & {"selector", "train_selector"} else None,
            **{name: described[name] for name in sorted(sections)},
            **{name: described[name] for name in ("head", "training", "seed")},
        }
    )


def _metrics_of(data: Any) -> list[str]:
    """Lists the metrics that a data set names, of which the first chooses a teacher's epoch."""
    return list(data.metrics)


def _views(spec: RunSpec, phase: Phase, networks: set[str]) -> Iterator[ViewSpec]:
    """Yields what the networks of a phase see."""
    for name in networks:
        yield spec.view(name)
    for name, learner in phase.learners.items():
        yield spec.view(name, learner.view)
        for term in learner.terms:
            yield spec.view(name, term.view)
            teacher = teacher_of(term)
            if teacher is not None and isinstance(teacher.view, ViewSpec):
                for member in members_of(phase, teacher.network):
                    yield spec.view(member, teacher.view)


class TeacherStore:
    """A folder of trained teachers; `refresh` trains them again where they are there already.

    signals: what teachers said of training videos, in a folder below it; `cache_budget` is its budget in bytes.
    """

    def __init__(self, folder: Path, refresh: bool = False, cache_budget: int = BUDGET) -> None:
        self.folder, self._refresh = folder, refresh
        self.signals = OutputCache(folder / "signals", cache_budget)

    def find(
        self,
        key: str,
        like: Mapping[str, Tensor] | None = None,
        warn: Callable[[str], object] | None = None,
    ) -> StoredPhase | None:
        """Returns the teacher of that key, or None; `say` is told of one that is damaged, which counts as none.

        like: the state of a network that it must fit.
        """
        path = self._path(key)
        if self._refresh or not path.exists():
            return None
        try:
            weights, about = load_tensors(path)
            check_history(about.get("history"))
            wrong = mismatch(weights if like is None else like, weights)
            if about.get("key") != key:
                wrong = "it was stored under another key"
            if wrong:
                raise ValueError(wrong)
        except (ResultError, ValueError) as error:
            if warn is not None:
                told = (
                    str(error)
                    if isinstance(error, ResultError)
                    else f"'{path}' is no trained teacher: {error}"
                )
                warn(f"{told}; the teacher is trained again")
            return None
        return StoredPhase(weights, about["history"])

    def keep(self, key: str, weights: dict[str, Tensor], history: Sequence[dict[str, Any]]) -> None:
        """Stores a teacher."""
        save_tensors(self._path(key), weights, {"key": key, "history": list(history)})

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"
