"""One run, fully determined.

Its components with their knobs, its phases, and the key that stands for it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from distillbench import interfaces
from distillbench.config.layers import Training
from distillbench.config.schedule_rules import networks_of, teacher_of, teachers_of
from distillbench.interfaces import (
    INTERFACE_VERSION,
    Copy,
    DataSet,
    Follow,
    Freeze,
    LabelKind,
    NetworkSpec,
    Phase,
    Ramp,
    Term,
    Tie,
    TrainingSchedule,
    ViewSpec,
)
from distillbench.registry.discovery import Component
from distillbench.registry.knobs import grouped

COMPONENT_FIELDS = (
    "data",
    "teacher",
    "student",
    "head",
    "selector",
    "train_selector",
    "teacher_selector",
    "schedule",
)


@dataclass(frozen=True)
class Choice:
    """One component of a run, with every one of its knobs."""

    component: Component
    knobs: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The component's name."""
        return self.component.name

    def build(self, *given: object) -> Any:
        """Constructs the component: the framework's positional arguments, then the knobs.

        Raises `PluginError` where its constructor raises what is not a `DistillbenchError`.
        """
        with self.component.guarded():
            return self.component.cls(*given, **grouped(self.component.cls, self.knobs))

    def describe(self) -> dict[str, Any]:
        """Everything that identifies the choice, as JSON would hold it."""
        c = self.component
        return {
            "name": c.name,
            "knobs": dict(self.knobs),
            "distribution": c.distribution,
            "version": c.version,
        }


@dataclass(frozen=True)
class RunSpec:
    """One run, fully determined but for the machine.

    losses: every loss that some phase names.
    weights: the student's objective as the schedule was given it.
    declared: the networks that the schedule declares, by name.
    sources: where each setting came from, by name or dotted name.
    warnings: what the row must carry.
    conflicts: why the choices cannot work together, as far as is known before building.
    exit_policy: decides where the reported network stops, if it may stop early.
    unused_losses: losses of the objective that the schedule gives to nobody.
    tuned_arm, tuned_trials, tuned_space: the arm of a tuning that it is, how many trials chose its
        settings, and among which; they are told with the row and change no key.
    """

    data: Choice
    teacher: Choice
    student: Choice
    head: Choice
    selector: Choice
    train_selector: Choice
    teacher_selector: Choice
    schedule: Choice
    losses: Mapping[str, Choice]
    weights: Mapping[str, float]
    declared: Mapping[str, NetworkSpec]
    phases: tuple[Phase, ...]
    training: Training
    k: int
    seed: int
    preset: str | None
    sources: Mapping[str, str]
    warnings: tuple[str, ...]
    exit_policy: Choice | None = None
    conflicts: tuple[str, ...] = ()
    unused_losses: tuple[str, ...] = ()
    tuned_arm: str = ""
    tuned_trials: int = 0
    tuned_space: str = ""

    @cached_property
    def networks(self) -> Mapping[str, NetworkSpec]:
        """The declared networks that some phase uses, or that the run reports."""
        used = {self.reports}.union(*(networks_of(phase) for phase in self.phases))
        # A width that another network has is found by building that network.
        used |= {width_of for name in used if (width_of := self.declared[name].width_of)}
        return {name: spec for name, spec in self.declared.items() if name in used}

    @property
    def sections(self) -> frozenset[str]:
        """The settings that networks are built from: `teacher`, `student` or both."""
        return frozenset(spec.section for spec in self.networks.values())

    def encoder(self, network: str) -> Choice:
        """The encoder that a network is built with."""
        choice: Choice = getattr(self, self.networks[network].section)
        return choice

    def requirements(self, loss: str) -> interfaces.Requirements:
        """What a loss of this run needs, and where it is valid."""
        return requirements_of(self.losses[loss])

    @property
    def reports(self) -> str:
        """The network whose quality and cost the run reports."""
        cls = self.schedule.component.cls
        return cls.reports if issubclass(cls, TrainingSchedule) else ""

    @cached_property
    def imitated(self) -> str | None:
        """The network that the reported one was last compared with.

        None for none, or for an ensemble.
        """
        found = [
            teacher.network
            for phase in self.phases
            for teacher in teachers_of(phase).get(self.reports, ())
            if teacher.network in self.networks and teacher.network != self.reports
        ]
        return found[-1] if found else None

    def view(self, network: str, view: ViewSpec | None = None) -> ViewSpec:
        """Returns what a network sees: its own view, filled with what it inherits.

        Its selector is `teacher_selector`, `selector` (in training the one for training) or
        `train_selector`; k is None for all frames.
        """
        spec = self.networks[network]
        own = spec.view
        selector = own.selector or ("teacher_selector" if spec.section == "teacher" else "selector")
        k = own.k if own.k is not None else _usual_k(selector, self.k)
        if view is None:
            return ViewSpec(selector, k)
        chosen = view.selector or selector
        if view.k is not None:
            return ViewSpec(chosen, view.k)
        return ViewSpec(chosen, k if chosen == selector else _usual_k(chosen, self.k))

    @cached_property
    def views(self) -> tuple[ViewSpec, ...]:
        """Everything that some network is shown, each view once."""
        found = [self.view(name) for name in self.networks]
        for phase in self.phases:
            for name, learner in phase.learners.items():
                found.append(self.view(name, learner.view))
                for term in learner.terms:
                    teacher = teacher_of(term)
                    found += [self.view(name, term.view)] if term.view is not None else []
                    if (
                        teacher
                        and isinstance(teacher.view, ViewSpec)
                        and teacher.network in self.networks
                    ):
                        found.append(self.view(teacher.network, teacher.view))
        return tuple(dict.fromkeys(found))

    @property
    def label_kind(self) -> LabelKind:
        """Whether a video has several labels or one."""
        cls = self.data.component.cls
        return cls.label_kind if issubclass(cls, DataSet) else "multi-label"

    @property
    def sees_k(self) -> bool:
        """Whether some network sees the run's k frames."""
        return any(view.selector != "teacher_selector" for view in self.views)

    def describe(self) -> dict[str, Any]:
        """What the run's result depends on, as JSON would hold it.

        Setups that agree here are the same run.
        """
        selectors = {view.selector for view in self.views}
        fields = ["data", "head", "schedule", *sorted(self.sections)]
        fields += ["teacher_selector"] if "teacher_selector" in selectors else []
        fields += ["selector", "train_selector"] if self.sees_k else []
        found: dict[str, Any] = {name: getattr(self, name).describe() for name in fields}
        found |= {
            "losses": {name: choice.describe() for name, choice in sorted(self.losses.items())},
            "networks": {name: described(spec) for name, spec in self.networks.items()},
            "phases": [described(phase) for phase in self.phases],
            "training": described(self.training),
            "seed": self.seed,
        }
        if self.exit_policy is not None:
            found["exit_policy"] = self.exit_policy.describe()
        return found | ({"k": self.k} if self.sees_k else {})

    @cached_property
    def key(self) -> str:
        """The run's key: twelve hexadecimal digits.

        It is the same for every release of distillbench.
        """
        return digest({"interface": INTERFACE_VERSION, **without_releases(self.describe())})


def _usual_k(selector: str, k: int) -> int | None:
    return None if selector == "teacher_selector" else k


def requirements_of(choice: Choice | None) -> interfaces.Requirements:
    """What a loss needs and where it is valid; nothing and everywhere for none."""
    found = getattr(choice.component.cls, "requirements", None) if choice else None
    return (
        found
        if isinstance(found, interfaces.Requirements)
        else interfaces.Requirements(frozenset())
    )


_LATER = frozenset({"dropout", "mixup", "patience", "width_of"})
"""Fields that rows stored earlier do not have: at their defaults they change no key."""


def described(value: Any) -> Any:
    """Describes what a schedule declares as JSON would hold it.

    A plain teacher's name is the `Teacher` that it stands for. Where a part may be of several
    types, the name of its type is around it. A field of `_LATER` is left out at its default.
    """
    if isinstance(value, Term):
        value = dataclasses.replace(value, teacher=teacher_of(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {
            f.name: described(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if f.name not in _LATER or getattr(value, f.name) != f.default
        }
        wrapped = isinstance(value, Copy | Tie | Freeze | Follow | Ramp)
        return {type(value).__name__.lower(): parts} if wrapped else parts
    if isinstance(value, Mapping):
        return {name: described(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [described(inner) for inner in value]
    return value


def without_releases(content: Any) -> Any:
    """Leaves the release out of what describes our own components.

    A third party's release stays, because it may change them.

    What changes our own numbers is `INTERFACE_VERSION`, so that a release does not void what was
    stored before it.
    """
    if isinstance(content, Mapping):
        ours = content.get("distribution") == "distillbench"
        kept = {name: value for name, value in content.items() if not (ours and name == "version")}
        return {name: without_releases(value) for name, value in kept.items()}
    if isinstance(content, list | tuple):
        return [without_releases(value) for value in content]
    return content


def digest(content: object) -> str:
    """Hashes JSON-able content to twelve hexadecimal digits, the same on every machine."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
