"""The calls that tests make most, with the registry of what is installed."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distillbench import choices
from distillbench.config import flags as flagged
from distillbench.evaluation.metric_set import MetricSet, installed_metrics, metrics_of
from distillbench.grid import setups
from distillbench.interfaces import Metric, NetworkSpec, Phase, TrainingSchedule
from distillbench.knobs import grouped
from distillbench.registry import Component, Registry, discover
from distillbench.results import answer as running
from distillbench.results.answer import Workplace
from distillbench.results.record import Result
from distillbench.setup import Setup
from distillbench.training.assemble import Parts
from distillbench.training.observer import SILENT, Observer


@functools.cache
def installed() -> Registry:
    return discover()


@functools.cache
def metrics() -> Mapping[str, Metric]:
    return installed_metrics(installed())


def metrics_for(parts: Parts) -> MetricSet:
    return metrics_of(parts.setup.data.component, installed())


def answer(setup: Setup, place: Workplace, observer: Observer = SILENT, **more: Any) -> Result:
    return running.answer(setup, place, installed(), observer, **more)


def all_setups(question: Path | None, flags: Mapping[str, object], assignments: Sequence[str]) -> list[Setup]:
    return choices.all_setups(installed(), question, flags, assignments)


def declared(
    networks: Mapping[str, NetworkSpec],
    phases: Sequence[Phase],
    reports: str,
    assignments: Sequence[str],
    components: Sequence[Component] = (),
    **chosen: object,
) -> Setup:
    """Makes the setup of a schedule that declares just this; components are installed beside ours."""

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
    (setup,) = setups([flagged({"k": 4, "schedule": "declared", **chosen}, list(assignments))], registry)
    return setup


def built(component: type, *given: object, **knobs: object) -> Any:
    """Builds a component as a run does: knobs by their own names, whatever group they are in."""
    return component(*given, **grouped(component, knobs))
