"""From a stored result back to its spec and its networks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from distillbench.config.layers import Layer, Training
from distillbench.config.resolve import specs
from distillbench.config.run_spec import COMPONENT_FIELDS, RunSpec, without_releases
from distillbench.config.schedule_rules import changed_by
from distillbench.errors import ResultError
from distillbench.experiments.context import find_device, use_threads
from distillbench.interfaces import INTERFACE_VERSION
from distillbench.networks import Model, Precision
from distillbench.registry.discovery import Registry
from distillbench.results.store import Result
from distillbench.storage import load_tensors
from distillbench.training.build import Experiment, assemble, open_data
from distillbench.training.early_exit import add_exit_policy
from distillbench.training.teacher_store import TeacherStore, is_shareable, phase_key


def spec_of(result: Result, registry: Registry) -> RunSpec:
    """Resolves a result's settings again.

    Raises `ConfigError` where a component or a knob is not there any more, `ResultError` where what
    is resolved is
    another run: the interface or a plugin has changed.
    """
    described = result.content["setup"]
    layer = Layer("result", _settings(described, result.record.objective))
    found_specs = specs([layer], registry)
    if len(found_specs) != 1:  # a knob that is a list would be a grid
        raise ResultError(
            f"run {result.id} cannot be made again: its file has the settings of"
            f" {len(found_specs)} runs, not of one"
        )
    spec = found_specs[0]
    now, then = (
        without_releases(json.loads(json.dumps(spec.describe()))),
        without_releases(described),
    )
    interface = result.record.interface
    changed = [name for name in {**then, **now} if now.get(name) != then.get(name)]
    if interface != INTERFACE_VERSION:
        changed.append(f"the interface (version {interface} then, {INTERFACE_VERSION} now)")
    if changed:
        raise ResultError(
            f"run {result.id} cannot be made again as it was: {', '.join(changed)} would differ"
        )
    return spec


def _settings(
    described: Mapping[str, Any], objective: Mapping[str, float] | None
) -> dict[str, object]:
    """Writes a described spec as the settings that give it.

    objective: what its schedule was given.
    """
    settings: dict[str, object] = {"seed": described["seed"]} | (
        {"k": described["k"]} if "k" in described else {}
    )
    for field in COMPONENT_FIELDS:
        if field in described:
            settings[field] = described[field]["name"]
            settings |= {
                f"{field}.{knob}": value for knob, value in described[field]["knobs"].items()
            }
    # A field that is not described has its default, whatever the recipe of the data says by now.
    training = dataclasses.asdict(Training()) | dict(described["training"])
    settings |= {f"training.{name}": value for name, value in training.items()}
    if "exit_policy" in described:
        settings["exit_policy"] = described["exit_policy"]["name"]
        knobs = described["exit_policy"]["knobs"]
        settings |= {f"exit_policy.{knob}": value for knob, value in knobs.items()}
    for name, choice in described["losses"].items():
        settings |= {f"loss.{name}.{knob}": value for knob, value in choice["knobs"].items()}
    terms = objective or _first_objective(described)
    return settings | {"loss": ",".join(f"{name}:{weight!r}" for name, weight in terms.items())}


def _first_objective(described: Mapping[str, Any]) -> Mapping[str, float]:
    """Returns what a student minimized first, else what any network did."""
    learners = [learner for phase in described["phases"] for learner in phase["learners"].items()]
    own = [learner for name, learner in learners if name == "student"] or [
        one for _, one in learners
    ]
    return {term["loss"]: term["weight"] for term in own[0]["terms"]}


@dataclass(frozen=True)
class RestoredRun:
    """A run's parts with its trained weights; networks: those whose weights were found."""

    experiment: Experiment
    networks: tuple[str, ...]


def restore(result: Result, registry: Registry, device: str = "auto") -> RestoredRun:
    """Builds a run's networks and loads what is stored.

    The evaluated network, and the teacher where it is kept.

    They compute in the precision of the run. A teacher that was trained together with its student
    is not kept.
    """
    spec, on = spec_of(result, registry), find_device(device)
    threads = torch.get_num_threads()
    use_threads(spec)
    try:
        experiment = _as_precise(assemble(spec, open_data(spec), on), result)
        add_exit_policy(experiment)
        weights, _ = load_tensors(result.student_path())
        if not _took(experiment.models[spec.reports], weights):
            raise ResultError(
                f"'{result.student_path()}' does not hold the weights of run {result.id}; run it"
                " with --again"
            )
        found = [spec.reports, *_load_stored(experiment, result.path.parent / "teachers")]
    finally:
        torch.set_num_threads(threads)
    for model in experiment.models.values():
        model.eval()
    return RestoredRun(experiment, tuple(found))


def _as_precise(experiment: Experiment, result: Result) -> Experiment:
    """Gives parts the precision that the run had, where `auto` might choose another today."""
    precision: Any = result.record.machine.precision
    if precision not in get_args(Precision):
        return experiment
    for model in experiment.models.values():
        model.precision = precision
    return dataclasses.replace(experiment, precision=precision)


def _load_stored(experiment: Experiment, folder: Path) -> list[str]:
    """Loads the networks of phases that are stored, and names them.

    The reported one is not among them.
    """
    found = dict[str, None]()
    for number, phase in enumerate(experiment.spec.phases):
        changed = changed_by(phase) - {experiment.spec.reports}
        if not changed or not is_shareable(experiment.spec, number):
            continue
        like = {
            f"{network}.{name}": tensor
            for network in changed_by(phase)
            for name, tensor in experiment.models[network].state_dict().items()
        }
        stored = TeacherStore(folder).find(phase_key(experiment, number), like)
        if stored is None:
            continue
        for network in sorted(changed):
            prefix = f"{network}."
            weights = {
                name.removeprefix(prefix): tensor
                for name, tensor in stored.weights.items()
                if name.startswith(prefix)
            }
            experiment.models[network].load_state_dict(weights)
            found[network] = None
    return list(found)


def _took(model: Model, weights: dict[str, Tensor]) -> bool:
    """Loads weights; tells whether they were those of the model."""
    try:
        model.load_state_dict(weights)
    except RuntimeError:  # names or shapes of another network
        return False
    return True
