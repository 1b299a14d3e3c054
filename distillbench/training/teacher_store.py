"""Stored teachers, under a key of everything that their training depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from distillbench.training.build import Experiment, LossKey, key_of
from distillbench.training.checkpoint import check_history, mismatch
from distillbench.training.output_cache import BUDGET, OutputCache
from distillbench.training.phase_starts import tied


@dataclass(frozen=True)
class StoredPhase:
    """What a phase trained.

    weights: of the networks that it changed, by network and name.
    history: its rows of the history.
    """

    weights: dict[str, Tensor]
    history: list[dict[str, Any]]


def is_shareable(spec: RunSpec, number: int) -> bool:
    """Tells whether other runs may use what a phase trained: teachers, whatever the student.

    Such a phase trains nothing that the run reports, unless that is a teacher itself. Its matching
    losses are not used again in a later phase, which would need their state.
    """
    phase = spec.phases[number]
    if not phase.epochs or tied(phase):
        return False
    changed = changed_by(phase)
    trains_only_teachers = all(spec.networks[name].section == "teacher" for name in changed)
    if spec.reports in changed and not trains_only_teachers:
        return False
    matching = {key for key in _losses_of([phase]) if key.teacher}
    return not matching & _losses_of(spec.phases[number + 1 :])


def _losses_of(phases: Iterable[Phase]) -> set[LossKey]:
    keys = set()
    for phase in phases:
        for name, learner in phase.learners.items():
            for term in learner.terms:
                keys.add(key_of(name, term))
    return keys


def phase_key(experiment: Experiment, number: int) -> str:
    """Hashes everything that the result of a phase depends on.

    That is the data, the components, the training settings, the seed, the kind of machine, and the
    phases before it whose networks it uses.
    """
    spec = experiment.spec
    described = without_releases(spec.describe())
    numbers, needed = _phases_before(spec, number)
    phases = [described["phases"][n] for n in numbers]
    needed |= {spec.networks[name].width_of or name for name in needed}
    networks = {name: described["networks"][name] for name in sorted(needed)}
    losses = set()
    for phase in phases:
        for learner in phase["learners"].values():
            losses |= {term["loss"] for term in learner["terms"]}
    sections = {network["section"] for network in networks.values()}
    for n in numbers:
        sections |= {str(view.selector) for view in _views(spec, spec.phases[n], needed)}
    # A student's own view takes the training selector while it learns.
    if "selector" in sections:
        sections.add("train_selector")
    depends_on_k = bool(sections & {"selector", "train_selector"})
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
            "k": spec.k if depends_on_k else None,
            **{name: described[name] for name in sorted(sections)},
            **{name: described[name] for name in ("head", "training", "seed")},
        }
    )


def _phases_before(spec: RunSpec, number: int) -> tuple[list[int], set[str]]:
    """Returns the phases that a phase depends on, itself included, and the networks they use."""
    numbers = [number]
    needed = networks_of(spec.phases[number])
    # Backwards: a phase counts if it changes a network that a later one, counted already, uses.
    for earlier in range(number - 1, -1, -1):
        if changed_by(spec.phases[earlier]) & needed:
            needed |= networks_of(spec.phases[earlier])
            numbers.insert(0, earlier)
    return numbers, needed


def _metrics_of(data: Any) -> list[str]:
    """Lists the metrics that a data set names; the first chooses a teacher's best epoch."""
    return list(data.metrics)


def _views(spec: RunSpec, phase: Phase, networks: set[str]) -> Iterator[ViewSpec]:
    """Yields the views of the networks of a phase."""
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
    """A folder of trained teachers.

    refresh: whether stored teachers are ignored, so that they are trained again.
    cache_budget: bytes of the cache for each teacher's outputs.
    output_cache: the cache of teachers' outputs on the training split, in a folder below `folder`.
    """

    def __init__(self, folder: Path, refresh: bool = False, cache_budget: int = BUDGET) -> None:
        self.folder = folder
        self._refresh = refresh
        self.output_cache = OutputCache(folder / "signals", cache_budget)

    def find(
        self,
        key: str,
        like: Mapping[str, Tensor] | None = None,
        warn: Callable[[str], object] | None = None,
    ) -> StoredPhase | None:
        """Returns the teacher stored under a key; None if there is none.

        A damaged teacher counts as none.

        like: weights whose names and shapes the teacher must have.
        warn: receives a message if the teacher is damaged.
        """
        path = self.path(key)
        if self._refresh or not path.exists():
            return None
        try:
            return self._load_checked(path, key, like)
        except ResultError as error:
            if warn is not None:
                warn(f"{error}; the teacher is trained again")
            return None

    def keep(self, key: str, weights: dict[str, Tensor], history: Sequence[dict[str, Any]]) -> None:
        """Stores a teacher under a key; raises `ResultError` if it cannot be written."""
        save_tensors(self.path(key), weights, {"key": key, "history": list(history)})

    def _load_checked(self, path: Path, key: str, like: Mapping[str, Tensor] | None) -> StoredPhase:
        weights, about = load_tensors(path)
        history = about.get("history")
        try:
            check_history(history)
        except ValueError as error:
            raise _invalid(path, str(error)) from error
        # Without weights to compare with, this still finds numbers that are not finite.
        reason = mismatch(weights if like is None else like, weights)
        if about.get("key") != key:
            reason = "it was stored under another key"
        if reason:
            raise _invalid(path, reason)
        return StoredPhase(weights, about["history"])

    def path(self, key: str) -> Path:
        """Returns where a teacher is stored, or would be."""
        return self.folder / f"{key}.safetensors"


def _invalid(path: Path, reason: str) -> ResultError:
    return ResultError(f"'{path}' is not a valid trained teacher: {reason}")
