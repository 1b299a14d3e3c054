"""From layers of settings and a registry to runs.

Every name, knob and pairing is checked, and all problems are reported at once.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from distillbench.config.layers import (
    CHOICES,
    Layer,
    Training,
    Value,
    parse_objective,
    parse_weight,
    require_no_secret,
    unknown_names,
)
from distillbench.config.pairing import (
    losses_in,
    misfits,
    mixed_labels,
    refused,
    unsuited,
    without_weight,
)
from distillbench.config.run_spec import COMPONENT_FIELDS, Choice, RunSpec, requirements_of
from distillbench.config.schedule_rules import faults
from distillbench.errors import ConfigError, PluginError
from distillbench.interfaces import (
    DataSet,
    NetworkSpec,
    Objective,
    Phase,
    Preset,
    TrainingSchedule,
)
from distillbench.plain_values import check_plain
from distillbench.registry.discovery import Component, Registry
from distillbench.registry.knobs import bind, knobs_of
from distillbench.registry.vetting import wrong_settings

T = TypeVar("T")

RECOMMENDERS = ("recipe of ", "preset ")
"""How the sources begin that fill what the user left unsaid."""

_KIND = {"train_selector": "selector", "teacher_selector": "selector"}


def specs(layers: Sequence[Layer], registry: Registry) -> list[RunSpec]:
    """Makes every run of some layers, each once; a setting that is a list is an axis.

    layers: lowest first; a later one wins. Raises `ConfigError` with every problem of every run.
    """
    for layer in layers:
        require_no_secret(layer.source, layer.settings)
    problems = [problem for layer in layers for problem in unknown_names(layer)]
    found: dict[str, RunSpec] = {}
    for point in _points(layers):
        spec, wrong = _spec(point, registry)
        problems += wrong
        if spec is not None:
            known = found.get(spec.key)
            if known is None or known.conflicts:
                found[spec.key] = spec
    if problems:
        raise ConfigError(dict.fromkeys(problems))
    return list(found.values())


MOST_RUNS = 100_000
"""The most runs of a sweep: more would not be finished in a lifetime, and are a mistake."""


def _points(layers: Sequence[Layer]) -> list[list[Layer]]:
    """Expands list-valued settings to their product.

    Of several layers that set a name the highest counts.
    """
    winner = {name: i for i, layer in enumerate(layers) for name in layer.settings}
    values_of = {name: layers[i].settings[name] for name, i in winner.items()}
    axes = [
        (winner[name], name, values)
        for name, values in values_of.items()
        if isinstance(values, list)
    ]
    count = math.prod(len(values) for _, _, values in axes)
    if count > MOST_RUNS:
        raise ConfigError(
            [f"these settings make {count:,} runs; a sweep makes at most {MOST_RUNS:,}"]
        )
    points = []
    for values in itertools.product(*(axis for _, _, axis in axes)):
        settings = [dict(layer.settings) for layer in layers]
        for (i, name, _), value in zip(axes, values, strict=True):
            settings[i][name] = value
        points.append([Layer(layer.source, s) for layer, s in zip(layers, settings, strict=True)])
    return points


def _spec(layers: Sequence[Layer], registry: Registry) -> tuple[RunSpec | None, list[str]]:
    problems: list[str] = []
    merged = {name: (value, "default") for name, value in defaults(registry, problems).items()}
    for layer in layers:
        merged |= {name: (value, layer.source) for name, value in layer.settings.items()}
    given = {name for layer in layers for name in layer.settings}
    ranks: dict[str, int] = {}
    for name, value, source in _recipe(str(merged["data"][0]), registry):
        ranks[name] = -2
        if name not in given:
            merged[name] = (value, source)
    number = _whole("k", merged["k"][0], 1, problems)
    for name, value, source in _preset(merged["preset"][0], number, registry, problems):
        ranks[name] = -1
        if name not in given:
            merged[name] = (value, source)
    ranks |= {name: number for number, layer in enumerate(layers) for name in layer.settings}
    return _Resolver(merged, ranks, registry, problems).resolve()


def _asked(component: Component, ask: Callable[[], T], otherwise: T, problems: list[str]) -> T:
    """Calls a plugin's code.

    Otherwise, and a problem that names it, where it fails.
    """
    try:
        with component.guarded():
            return ask()
    except ConfigError as error:
        problems += error.problems
    except PluginError as error:
        problems.append(str(error))
    return otherwise


def _recipe(name: str, registry: Registry) -> list[tuple[str, Value, str]]:
    component = registry.find("data", name)
    if component is None or not issubclass(component.cls, DataSet):
        return []
    return [
        (setting, value, f"recipe of {name}") for setting, value in component.cls.recipe.items()
    ]


def defaults(registry: Registry, problems: list[str]) -> dict[str, Value]:
    """Returns the default of every choice, from the presets that are defaults."""
    found = dict(CHOICES)
    for component in registry:
        if issubclass(component.cls, Preset) and component.cls.is_default:
            settings = _preset(component.name, int(str(CHOICES["k"])), registry, problems)
            found |= {name: value for name, value, _ in settings}
    return found


def _preset(
    name: Value, k: int, registry: Registry, problems: list[str]
) -> list[tuple[str, Value, str]]:
    if name is None:
        return []
    component = registry.find("preset", str(name))
    if component is None:
        problems.append(registry.missing("preset", str(name)))
        return []

    def settings() -> list[tuple[str, Value, str]]:
        preset: Preset = component.cls()
        given = preset.settings(k)
        wrong = wrong_settings(given)
        if wrong:
            raise PluginError(f"{component.title}: its return value {wrong}")
        return [(setting, value, f"preset {name}") for setting, value in given.items()]

    return _asked(component, settings, [], problems)


def _whole(name: str, value: Value, least: int, problems: list[str]) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = least - 1
    if number < least:
        problems.append(f"{name} must be an integer of at least {least}; found {value}")
        return least
    return number


class _Resolver:
    """Turns merged settings into a spec, gathering problems on the way."""

    def __init__(
        self,
        merged: Mapping[str, tuple[Value, str]],
        ranks: dict[str, int],
        registry: Registry,
        problems: list[str],
    ) -> None:
        self.settings = {name: value for name, (value, _) in merged.items()}
        self.sources = {name: source for name, (_, source) in merged.items()}
        self.ranks = ranks
        self.registry, self.problems = registry, problems

    def resolve(self) -> tuple[RunSpec | None, list[str]]:
        if self.settings["train_selector"] is None:
            self.settings["train_selector"] = self.settings["selector"]
            inherited = self._section("selector") | self._section("train_selector")
            self.settings |= {f"train_selector.{name}": value for name, value in inherited.items()}
            self.sources |= {
                f"train_selector.{n}": self.sources[f"selector.{n}"]
                for n in self._section("selector")
            }
            ranks = {
                f"train_selector.{n}": self.ranks[f"selector.{n}"]
                for n in self._section("selector")
            }
            self.ranks = ranks | self.ranks
        choices = {
            field: self._choice(_KIND.get(field, field), field, self._section(field))
            for field in COMPONENT_FIELDS
        }
        exit_policy = None
        if self.settings["exit_policy"] is not None:
            exit_policy = self._choice("exit_policy", "exit_policy", self._section("exit_policy"))
        training, wrong = bind(Training, self._section("training"), "training")
        self.problems += wrong
        k = _whole("k", self.settings["k"], 1, self.problems)
        seed = _whole("seed", self.settings["seed"], 0, self.problems)
        tuned_trials = _whole("tuned_trials", self.settings["tuned_trials"], 0, self.problems)
        label_loss = self._label_loss(choices["data"])
        weights = self._weights(label_loss)
        networks, phases = self._declared(choices, weights, training, label_loss, k)
        losses = {
            name: self._choice("loss", f"loss {name}", self._section(f"loss.{name}"), name)
            for name in _needed(phases, weights)
        }
        if not self.problems:
            self._check_training(training)
        if not self.problems:
            warnings = unsuited(choices["data"], losses)
        if self.problems:
            return None, self.problems
        in_phases = set(losses_in(phases))
        losses = {name: choice for name, choice in losses.items() if name in in_phases}
        spec = RunSpec(
            **choices,  # type: ignore[arg-type]
            losses=losses,  # type: ignore[arg-type]
            weights=weights,
            declared=networks,
            phases=phases,
            training=Training(**training),  # type: ignore[arg-type]
            k=k,
            seed=seed,
            exit_policy=exit_policy,
            preset=self.settings["preset"],  # type: ignore[arg-type]
            sources=self.sources,
            warnings=tuple(warnings),
            unused_losses=tuple(name for name in weights if name not in in_phases),
            tuned_arm=str(self.settings["tuned_arm"] or ""),
            tuned_trials=tuned_trials,
            tuned_space=str(self.settings["tuned_space"] or ""),
            conflicts=(
                *misfits(phases, losses),
                *mixed_labels(phases, losses),
                *refused(choices["data"], losses),
                *self._unused_objective(choices["schedule"], networks, phases, weights),
            ),
        )
        try:
            check_plain(json.loads(json.dumps(spec.describe())), "")
        except ValueError as error:
            return None, [f"the result of this run could not be stored: {error}"]
        return spec, []

    def _section(self, section: str) -> dict[str, Value]:
        prefix = section + "."
        return {
            name.removeprefix(prefix): value
            for name, value in self.settings.items()
            if name.startswith(prefix)
        }

    def _choice(
        self, kind: str, where: str, settings: Mapping[str, Value], name: str | None = None
    ) -> Choice | None:
        if name is None and self.settings[where] is None:
            self.problems.append(f"no {where} is chosen, and no installed preset has a usual one")
            return None
        name = name or str(self.settings[where])
        component = self.registry.find(kind, name)
        if component is None:
            self.problems.append(self.registry.missing(kind, name))
            return None
        section = where.replace(" ", ".") if kind == "loss" else where
        settings = self._applicable(component, section, settings)
        given = where if kind == "loss" else f"{where} {name}"
        knobs, wrong = bind(component.cls, settings, given)
        self.problems += wrong or self._settle_exclusive(component, section, given, knobs)
        return Choice(component, knobs)

    def _settle_exclusive(
        self, component: Component, section: str, where: str, knobs: dict[str, Value]
    ) -> list[str]:
        """Resets each knob that a higher layer's choice excludes.

        Lists those that one layer sets.
        """
        problems = []
        defaults = {knob.name: knob.default for knob in knobs_of(component.cls)}
        for group in getattr(component.cls, "exclusive_knobs", ()):
            ranks = {
                name: self.ranks[f"{section}.{name}"]
                for name in group
                if knobs[name] != defaults[name]
            }
            highest = [name for name, rank in ranks.items() if rank == max(ranks.values())]
            if len(highest) > 1:
                listed = " and ".join(f"{name}={knobs[name]}" for name in highest)
                source = self.sources[f"{section}.{highest[0]}"]
                problems.append(
                    f"{where}: {listed} exclude one another and both are set ({source}); set one of"
                    " them"
                )
            for name in ranks.keys() - set(highest):
                knobs[name] = defaults[name]
                del self.sources[f"{section}.{name}"]
        return problems

    def _applicable(
        self, component: Component, section: str, settings: Mapping[str, Value]
    ) -> dict[str, Value]:
        """Drops what a recipe or a preset recommends and the chosen component has no knob for.

        The user gets a warning instead.
        """
        names = {knob.name for knob in knobs_of(component.cls)}
        recommended = {
            name
            for name in settings
            if self.sources.get(f"{section}.{name}", "").startswith(RECOMMENDERS)
        }
        return {
            name: value
            for name, value in settings.items()
            if name in names or name not in recommended
        }

    def _weights(self, label_loss: str) -> dict[str, float]:
        """Returns the objective.

        Where nobody chose one, its loss on the labels is the one of the data.
        """
        if self.settings["loss"] is None:
            self.problems.append("no loss is chosen, and no installed preset has a usual one")
            return {}
        given, wrong = parse_objective(self.settings["loss"])
        self.problems += wrong
        section = self._section("loss")
        known = self.registry.names("loss")
        unknown = {setting.partition(".")[0] for setting in section} - set(known)
        self.problems += [self.registry.missing("loss", name) for name in sorted(unknown)]
        weights: dict[str, float] = {}
        for named, weight in given.items():
            component = self.registry.find("loss", named)
            on_labels = component is not None and component.kind == "label-loss"
            usual = on_labels and label_loss and self.sources["loss"] == "default"
            name = label_loss if usual else named
            weights[name], wrong = parse_weight(
                name, section.get(name, 1.0) if weight is None else weight
            )
            self.problems += wrong
        return weights

    def _declared(
        self,
        choices: Mapping[str, Choice | None],
        weights: Mapping[str, float],
        training: Mapping[str, Any],
        label_loss: str,
        k: int,
    ) -> tuple[Mapping[str, NetworkSpec], tuple[Phase, ...]]:
        """Gets the schedule's networks and phases.

        Every fault of its declaration is a problem.
        """
        schedule = choices["schedule"]
        known = {name: self.registry.find("loss", name) for name in weights}
        self.problems += [
            self.registry.missing("loss", name) for name, c in known.items() if c is None
        ]
        if schedule is None or self.problems:
            return {}, ()
        components = [component for component in known.values() if component is not None]
        objective = Objective(
            dict(weights),
            frozenset(c.name for c in components if c.kind == "matching-loss"),
            label_loss,
            any(_trains_head(component) for component in components),
            k,
        )
        component = schedule.component

        def declared() -> tuple[Mapping[str, NetworkSpec], tuple[Phase, ...]]:
            built: TrainingSchedule = schedule.build(objective)
            networks, phases = built.networks(), built.phases(training["epochs"])
            wrong = faults(networks, phases, getattr(component.cls, "reports", None))
            if wrong:
                raise ConfigError(f"{component.title}: {fault}" for fault in wrong)
            self.problems += without_weight(phases)
            return dict(networks), tuple(phases)

        nothing: tuple[Mapping[str, NetworkSpec], tuple[Phase, ...]] = ({}, ())
        return _asked(component, declared, nothing, self.problems)

    def _label_loss(self, data: Choice | None) -> str:
        """Returns the loss on the labels that teachers and baselines minimize on this data."""
        if data is None or not issubclass(data.component.cls, DataSet):
            return ""
        chosen = self.settings["label_loss"] or data.component.cls.label_loss
        kind = data.component.cls.label_kind
        labelled = (c for c in self.registry if c.kind == "label-loss")
        usual = (c.name for c in labelled if kind in c.cls.default_for)  # type: ignore[attr-defined]
        name = str(chosen or next(usual, ""))
        component = self.registry.find("loss", name)
        if component is None:
            listed = (
                self.registry.missing("loss", name)
                if name
                else f"no loss is the usual one for {kind} data"
            )
            self.problems.append(f"the labels of {data.name} have no loss: {listed}")
        elif component.kind != "label-loss":
            self.problems.append(
                f"label_loss: '{name}' compares networks; it must be a loss on the labels"
            )
        return name

    def _unused_objective(
        self,
        schedule: Choice | None,
        networks: Mapping[str, NetworkSpec],
        phases: Sequence[Phase],
        weights: Mapping[str, float],
    ) -> list[str]:
        """Reports that none of the losses that the user chose for a student would be used."""
        chosen = self.sources["loss"] != "default" and not self.sources["loss"].startswith(
            RECOMMENDERS
        )
        trained = set(losses_in(phases))
        if schedule is None or not chosen or not phases or not trained.isdisjoint(weights):
            return []
        if not any(
            networks[name].section == "student" for phase in phases for name in phase.learners
        ):
            return []
        return [
            f"the schedule '{schedule.name}' trains on {', '.join(sorted(trained))} and would use"
            f" nothing of --loss {self.settings['loss']}; choose another schedule, or leave"
            " --loss out"
        ]

    def _check_training(self, training: Mapping[str, Any]) -> None:
        for name in ("epochs", "batch_size", "decay_examples"):
            _whole(f"training.{name}", training[name], 1, self.problems)
        for name in ("patience", "threads"):
            _whole(f"training.{name}", training[name], 0, self.problems)
        for name, least in (("learning_rate", 0.0), ("decay", 0.0), ("clip", 0.0), ("l2", 0.0)):
            if not least <= training[name] < float("inf"):
                self.problems.append(
                    f"training.{name} must be a number of at least {least:g}; found"
                    f" {training[name]}"
                )


def _trains_head(component: Component) -> bool:
    """Tells whether a loss reads what a head makes; one that reads a selection trains that."""
    needs = requirements_of(Choice(component, {})).needs
    if "selection" in needs:
        return False
    return component.kind == "label-loss" or bool(needs & {"logits", "exits"})


def _needed(phases: Sequence[Phase], weights: Mapping[str, float]) -> list[str]:
    """Lists the losses that some phase or the user names, each once."""
    return list(dict.fromkeys([*weights, *losses_in(phases)]))
