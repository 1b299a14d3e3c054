"""The calls that tests make most, with the registry of what is installed."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distillbench.config import grid
from distillbench.config.layers import flags as flagged
from distillbench.config.resolve import specs
from distillbench.config.run_spec import RunSpec
from distillbench.evaluation.metric_set import MetricSet, installed_metrics, metrics_of
from distillbench.experiments import run as running
from distillbench.experiments.context import RunContext
from distillbench.interfaces import Metric, NetworkSpec, Phase, TrainingSchedule
from distillbench.registry.discovery import Component, Registry, discover
from distillbench.registry.knobs import grouped
from distillbench.results.store import Result
from distillbench.training.build import Experiment
from distillbench.training.callbacks import SILENT, Observer


@functools.cache
def installed() -> Registry:
    return discover()


@functools.cache
def metrics() -> Mapping[str, Metric]:
    return installed_metrics(installed())


def metrics_for(experiment: Experiment) -> MetricSet:
    return metrics_of(experiment.spec.data.component, installed())


def run_experiment(
    spec: RunSpec, place: RunContext, observer: Observer = SILENT, **more: Any
) -> Result:
    return running.run_experiment(spec, place, installed(), observer, **more)


def all_specs(
    question: Path | None, flags: Mapping[str, object], assignments: Sequence[str]
) -> list[RunSpec]:
    return grid.all_specs(installed(), question, flags, assignments)


def declared(
    networks: Mapping[str, NetworkSpec],
    phases: Sequence[Phase],
    reports: str,
    assignments: Sequence[str],
    components: Sequence[Component] = (),
    **chosen: object,
) -> RunSpec:
    """Makes the spec of a schedule that declares just this; components are installed beside ours."""

    class Declared(TrainingSchedule):
        """Declares what it was made with."""

        def __init__(self, objective: object) -> None:
            self.objective = objective

        def networks(self) -> Mapping[str, NetworkSpec]:
            return networks

        def phases(self, epochs: int) -> Sequence[Phase]:
            return phases

    Declared.reports = reports
    known = installed()
    ours = [Component("schedule", "declared", Declared, "tests", "1"), *components]
    registry = Registry([*known, *ours], [], known.hooks)
    (spec,) = specs(
        [flagged({"k": 4, "schedule": "declared", **chosen}, list(assignments))], registry
    )
    return spec


def built(component: type, *given: object, **knobs: object) -> Any:
    """Builds a component as a run does: knobs by their own names, whatever group they are in."""
    return component(*given, **grouped(component, knobs))
