"""One run, fully determined: its components with their knobs, its phases, and the key that stands for it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from distillbench.config import Training
from distillbench.interfaces import INTERFACE_VERSION, MatchingLoss, Network, Passport, Phase, TrainingSchedule
from distillbench.registry import Component

COMPONENT_FIELDS = ("data", "teacher", "student", "head", "selector", "train_selector", "teacher_selector", "schedule")
NETWORKS: tuple[Network, ...] = ("teacher", "student")


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
        with self.component.answering():
            return self.component.cls(*given, **self.knobs)

    def describe(self) -> dict[str, Any]:
        """Everything that identifies the choice, as JSON would hold it."""
        c = self.component
        return {"name": c.name, "knobs": dict(self.knobs), "distribution": c.distribution, "version": c.version}


@dataclass(frozen=True)
class Setup:
    """One run, fully determined but for the machine: what is asked of the training loop.

    losses: every loss that some phase names. weights: the student's objective as the schedule was given it.
    sources: where each setting came from, by name or dotted name. warnings: what the row must carry.
    misfits: why the choices cannot work together, where that is known before anything is built.
    unused_losses: losses of the objective that the schedule gives to nobody.
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
    phases: tuple[Phase, ...]
    training: Training
    k: int
    seed: int
    preset: str | None
    sources: Mapping[str, str]
    warnings: tuple[str, ...]
    misfits: tuple[str, ...] = ()
    unused_losses: tuple[str, ...] = ()

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        """The networks that learn, guide, lend their weights or their head in some phase, teacher first."""
        used: set[Network] = set()
        for phase in self.phases:
            used |= (
                set(phase.objectives)
                | set(phase.starts.values())
                | ({"teacher"} if phase.head != "separate" else set())
            )
            used |= {
                phase.guides[learner]
                for learner, terms in phase.objectives.items()
                if self.is_guided(phase, learner, terms)
            }
        return tuple(network for network in NETWORKS if network in used)

    def is_guided(self, phase: Phase, learner: Network, terms: Iterable[str]) -> bool:
        """Tells whether some of a learner's losses compares it with its guide."""
        return learner in phase.guides and any("teacher" in self.passport(name).needs for name in terms)

    def passport(self, loss: str) -> Passport:
        """What a loss of this run needs, and where it is valid."""
        return passport_of(self.losses[loss])

    @property
    def answers(self) -> Network:
        """The network whose quality and cost the run reports."""
        cls = self.schedule.component.cls
        return "student" if issubclass(cls, TrainingSchedule) and cls.trains_student else "teacher"

    def describe(self) -> dict[str, Any]:
        """What the run's answer depends on, as JSON would hold it; setups that agree here are the same question."""
        fields = ["data", "head", "schedule"]
        fields += ["teacher", "teacher_selector"] if "teacher" in self.networks else []
        fields += ["student", "selector", "train_selector"] if "student" in self.networks else []
        described: dict[str, Any] = {name: getattr(self, name).describe() for name in fields}
        described |= {
            "losses": {name: choice.describe() for name, choice in sorted(self.losses.items())},
            "phases": [dataclasses.asdict(phase) for phase in self.phases],
            "training": dataclasses.asdict(self.training),
            "seed": self.seed,
        }
        return described | ({"k": self.k} if "student" in self.networks else {})

    @cached_property
    def key(self) -> str:
        """Twelve hexadecimal digits that stand for this question, whichever release of distillbench is asked."""
        return digest({"interface": INTERFACE_VERSION, **without_releases(self.describe())})


def passport_of(choice: Choice | None) -> Passport:
    """What a loss needs and where it is valid; nothing and everywhere for none."""
    cls = choice.component.cls if choice else MatchingLoss
    return cls.passport if issubclass(cls, MatchingLoss) else Passport(frozenset())


def without_releases(described: Any) -> Any:
    """Leaves the release out of what describes our own components; a stranger's release stays, for it may change them.

    What changes our own numbers is `INTERFACE_VERSION`, so that a release does not void what was stored before it.
    """
    if isinstance(described, Mapping):
        ours = described.get("distribution") == "distillbench"
        kept = {name: value for name, value in described.items() if not (ours and name == "version")}
        return {name: without_releases(value) for name, value in kept.items()}
    if isinstance(described, list | tuple):
        return [without_releases(value) for value in described]
    return described


def digest(content: object) -> str:
    """Hashes JSON-able content to twelve hexadecimal digits, the same on every machine."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
