"""The metrics of one kind of labels, and which of them the data is judged by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from distillbench.errors import ConfigError, DistillbenchError
from distillbench.interfaces import LabelKind, Metric, Predictions
from distillbench.registry.discovery import Component, Registry

Warn = Callable[[str], object]
OURS = "distillbench"


def _silent(_: str) -> None:
    """Ignores a message."""


class MetricSet:
    """The metrics that are valid for some data.

    judged_by: names of those that the data is judged by; the first chooses epochs.
    """

    def __init__(self, components: Iterable[Component], judged_by: Sequence[str]) -> None:
        self._components = {component.name: component for component in components}
        self._failed: set[str] = set()
        self.judged_by = tuple(judged_by)

    @property
    def names(self) -> tuple[str, ...]:
        """Every metric, those that the data is judged by first."""
        return tuple(dict.fromkeys((*self.judged_by, *self._components)))

    @property
    def each_epoch(self) -> tuple[str, ...]:
        """The metrics that are computed after every epoch: the first, and all that are cheap."""
        first, *others = self.names
        return (first, *(name for name in others if self._is_cheap(name)))

    def _is_cheap(self, name: str) -> bool:
        cls: Any = self._components[name].cls
        return cls.needs == "best" and bool(cls.each_epoch)

    @property
    def first_title(self) -> str:
        """What the metric that chooses epochs is called."""
        return self.title(self.judged_by[0])

    def title(self, name: str) -> str:
        """What a metric is called."""
        return str(self._class(name).title)

    def need_all_scores(self, names: Iterable[str]) -> bool:
        """Tells whether some of these metrics need every score."""
        return any(self._class(name).needs == "all" for name in names)

    def compute(
        self, names: Iterable[str], predictions: Predictions, warn: Warn = _silent
    ) -> dict[str, float | None]:
        """Computes these metrics; one that fails is None, and `warn` is called once with why."""
        return {name: self._computed(name, predictions, warn) for name in names}

    def _computed(self, name: str, predictions: Predictions, warn: Warn) -> float | None:
        component = self._components[name]
        try:
            with component.guarded():
                found = component.cls().compute(predictions)
                value = None if found is None else float(found)
        except DistillbenchError as error:
            if name not in self._failed:
                self._failed.add(name)
                text = str(error)
                warn(text if component.title in text else f"{component.title} failed: {text}")
            return None
        return value if value is not None and math.isfinite(value) else None

    def worth(self, metrics: Mapping[str, float | None]) -> float:
        """Returns the first metric as a number that is the higher the better.

        -inf where it is None.
        """
        value = metrics[self.judged_by[0]]
        if value is None:
            return -math.inf
        return value if self._class(self.judged_by[0]).higher_is_better else -value

    def _class(self, name: str) -> type[Metric]:
        cls: type[Metric] = self._components[name].cls
        return cls


def metrics_of(data: Component, registry: Registry) -> MetricSet:
    """Finds the installed metrics of a data set's kind of labels, and those that it is judged by.

    Raises `ConfigError` where it names one that is not there or is for other labels, or where it
    names none and none is installed that its kind of labels is judged by.
    """
    cls: Any = data.cls
    kind: LabelKind = cls.label_kind
    valid = valid_for(kind, registry)
    named = tuple(cls.metrics)
    for name in named:
        if registry.find("metric", name) is None:
            text = registry.missing("metric", name)
            raise ConfigError([f"{data.title} is judged by the metric '{name}', and {text}"])
        if name not in valid:
            raise ConfigError(
                [f"{data.title} has {kind} labels, and its metric '{name}' is not for these"]
            )
    judged_by = named or default_names(kind, registry)
    if not judged_by:
        raise ConfigError(
            [f"no metric is installed that {kind} data is judged by; {data.title} names none"]
        )
    return MetricSet(valid.values(), judged_by)


def valid_for(kind: LabelKind, registry: Registry) -> dict[str, Component]:
    """Lists the installed metrics that a kind of labels has, by name."""
    found = {}
    for component in registry:
        cls: Any = component.cls
        if component.kind == "metric" and kind in cls.label_kinds:
            found[component.name] = component
    return found


def default_names(kind: LabelKind, registry: Registry) -> tuple[str, ...]:
    """Lists the metrics that a kind of labels is judged by where the data names none."""
    places = []
    for component in valid_for(kind, registry).values():
        cls: Any = component.cls
        if kind in cls.default_place:
            is_foreign = component.distribution != OURS
            places.append((is_foreign, cls.default_place[kind], component.name))
    return tuple(name for _, _, name in sorted(places))


def installed_metrics(registry: Registry) -> dict[str, Metric]:
    """Builds every installed metric with its knobs' defaults.

    One that cannot be built is left out.
    """
    built: dict[str, Metric] = {}
    for component in registry:
        if component.kind == "metric":
            try:
                with component.guarded():
                    built[component.name] = component.cls()
            except DistillbenchError:  # its error is reported where it is to compute
                continue
    return built
