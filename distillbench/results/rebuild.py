"""From a stored result back to its setup and its networks: to run it again, or to look inside."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from distillbench.config import Layer
from distillbench.errors import ResultError
from distillbench.grid import setups
from distillbench.interfaces import INTERFACE_VERSION, Network
from distillbench.networks import Model, Precision
from distillbench.registry import Registry
from distillbench.results.answer import find_device, use_threads
from distillbench.results.record import Result
from distillbench.setup import COMPONENT_FIELDS, Setup, without_releases
from distillbench.storage import load_tensors
from distillbench.training.assemble import Parts, assemble, open_data
from distillbench.training.teachers import TeacherStore, teacher_key, trains_teacher_alone


def setup_of(result: Result, registry: Registry) -> Setup:
    """Resolves a result's question again.

    Raises `ConfigError` where a component or a knob is not there any more, `ResultError` where what is resolved is
    another question: the interface or a plugin has changed.
    """
    described = result.content["setup"]
    layer = Layer("result", _settings(described, result.content.get("objective")))
    asked = setups([layer], registry)
    if len(asked) != 1:  # a knob that is a list would be a grid
        raise ResultError(f"run {result.id} cannot be asked again: its file names {len(asked)} questions, not one")
    setup = asked[0]
    now, then = without_releases(json.loads(json.dumps(setup.describe()))), without_releases(described)
    interface = result.content.get("interface", 1)
    changed = [name for name in {**then, **now} if now.get(name) != then.get(name)]
    if interface != INTERFACE_VERSION:
        changed.append(f"the interface (version {interface} then, {INTERFACE_VERSION} now)")
    if changed:
        raise ResultError(f"run {result.id} cannot be asked again as it was: {', '.join(changed)} would differ")
    return setup


def _settings(described: Mapping[str, Any], objective: Mapping[str, float] | None) -> dict[str, object]:
    """Writes a described setup as the settings that ask for it; objective: what its schedule was given."""
    settings: dict[str, object] = {"seed": described["seed"]} | ({"k": described["k"]} if "k" in described else {})
    for field in COMPONENT_FIELDS:
        if field in described:
            settings[field] = described[field]["name"]
            settings |= {f"{field}.{knob}": value for knob, value in described[field]["knobs"].items()}
    settings |= {f"training.{name}": value for name, value in described["training"].items()}
    for name, choice in described["losses"].items():
        settings |= {f"loss.{name}.{knob}": value for knob, value in choice["knobs"].items()}
    terms = objective or _first_objective(described)
    return settings | {"loss": ",".join(f"{name}:{weight!r}" for name, weight in terms.items())}


def _first_objective(described: Mapping[str, Any]) -> Mapping[str, float]:
    phases = [phase["objectives"]["student"] for phase in described["phases"] if "student" in phase["objectives"]]
    return phases[0] if phases else {"ce": 1.0}


@dataclass(frozen=True)
class Rebuilt:
    """A run's parts with its trained weights; networks: those whose weights were found."""

    parts: Parts
    networks: tuple[Network, ...]


def rebuild(result: Result, registry: Registry, device: str = "auto") -> Rebuilt:
    """Builds a run's networks and loads what is stored: the evaluated network, and the teacher where it is kept.

    They compute in the precision of the run. A teacher that was trained together with its student is not kept.
    """
    setup, on = setup_of(result, registry), find_device(device)
    threads = torch.get_num_threads()
    use_threads(setup)
    try:
        parts = _as_precise(assemble(setup, open_data(setup), on), result)
        weights, _ = load_tensors(result.student_path())
        if not _took(parts.models[setup.answers], weights):
            raise ResultError(
                f"'{result.student_path()}' does not hold the weights of run {result.id}; run it with --again"
            )
        found: list[Network] = [setup.answers]
        if "teacher" not in found and _load_teacher(parts, result.path.parent / "teachers"):
            found.append("teacher")
    finally:
        torch.set_num_threads(threads)
    for model in parts.models.values():
        model.eval()
    return Rebuilt(parts, tuple(found))


def _as_precise(parts: Parts, result: Result) -> Parts:
    """Gives parts the precision that the run had, where `auto` might choose another today."""
    precision = result.content["machine"]["precision"]
    if precision not in get_args(Precision):
        return parts
    for model in parts.models.values():
        model.precision = precision
    return dataclasses.replace(parts, precision=precision)


def _load_teacher(parts: Parts, folder: Path) -> bool:
    first = parts.setup.phases[0]
    if not trains_teacher_alone(first):
        return False
    teacher = parts.models["teacher"]
    stored = TeacherStore(folder).find(teacher_key(parts, first), teacher.state_dict())
    if stored is not None:
        teacher.load_state_dict(stored.weights)
    return stored is not None


def _took(model: Model, weights: dict[str, Tensor]) -> bool:
    """Loads weights; tells whether they were those of the model."""
    try:
        model.load_state_dict(weights)
    except RuntimeError:  # names or shapes of another network
        return False
    return True
