"""Every hook a plugin may implement.

A plugin offers components by name; the framework never imports one itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from distillbench.interfaces import (
        Backbone,
        DataSet,
        Encoder,
        EpochEnded,
        Executor,
        ExitPolicy,
        Exporter,
        FrameSelector,
        Head,
        LabelLoss,
        LearnedSelector,
        MatchingLoss,
        Metric,
        Preset,
        Report,
        RunEnded,
        RunStarted,
        TrainingSchedule,
        Tuner,
    )

hookspec = pluggy.HookspecMarker("distillbench")


@hookspec
def datasets() -> Mapping[str, type[DataSet]]:  # type: ignore[empty-body]
    """Offers data sets, by the name given to `--data`."""


@hookspec
def teacher_encoders() -> Mapping[str, type[Encoder]]:  # type: ignore[empty-body]
    """Offers encoders for the network that sees all frames, by the name given to `--teacher`."""


@hookspec
def student_encoders() -> Mapping[str, type[Encoder]]:  # type: ignore[empty-body]
    """Offers encoders for the network that sees k frames, by the name given to `--student`."""


@hookspec
def heads() -> Mapping[str, type[Head]]:  # type: ignore[empty-body]
    """Offers output layers, by the name given to `--head`."""


@hookspec
def frame_selectors() -> Mapping[str, type[FrameSelector]]:  # type: ignore[empty-body]
    """Offers frame selectors, by the name given to `--selector` and `--train-selector`."""


@hookspec
def learned_selectors() -> Mapping[str, type[LearnedSelector]]:  # type: ignore[empty-body]
    """Offers selectors that are trained with the network, by the name for `--selector`."""


@hookspec
def exit_policies() -> Mapping[str, type[ExitPolicy]]:  # type: ignore[empty-body]
    """Offers ways to decide when an encoder stops early, by the name given to `--exit-policy`."""


@hookspec
def label_losses() -> Mapping[str, type[LabelLoss]]:  # type: ignore[empty-body]
    """Offers losses on the labels, by the names given to `--loss`."""


@hookspec
def matching_losses() -> Mapping[str, type[MatchingLoss]]:  # type: ignore[empty-body]
    """Offers losses that match a teacher, by the names given to `--loss`."""


@hookspec
def training_schedules() -> Mapping[str, type[TrainingSchedule]]:  # type: ignore[empty-body]
    """Offers training schedules, by the name given to `--schedule`."""


@hookspec
def presets() -> Mapping[str, type[Preset]]:  # type: ignore[empty-body]
    """Offers presets, by the name given to `--preset`."""


@hookspec
def executors() -> Mapping[str, type[Executor]]:  # type: ignore[empty-body]
    """Offers places where the runs of a sweep are made, by the name given to `--executor`."""


@hookspec
def exporters() -> Mapping[str, type[Exporter]]:  # type: ignore[empty-body]
    """Offers formats of exported networks, by the name given to `distillbench export --to`."""


@hookspec
def tuners() -> Mapping[str, type[Tuner]]:  # type: ignore[empty-body]
    """Offers ways to search for good settings, by the name given to `tune --tuner`."""


@hookspec
def backbones() -> Mapping[str, type[Backbone]]:  # type: ignore[empty-body]
    """Offers what encodes the pictures of videos, by the name given to `extract --backbone`."""


@hookspec
def reports() -> Mapping[str, type[Report]]:  # type: ignore[empty-body]
    """Offers tables and figures of stored runs, by the name given to `distillbench report`."""


@hookspec
def metrics() -> Mapping[str, type[Metric]]:  # type: ignore[empty-body]
    """Offers metrics, by the names that they have in results and on the leaderboard."""


@hookspec
def sweep_files() -> Mapping[str, Path]:  # type: ignore[empty-body]
    """Offers the TOML files that `distillbench sweep NAME` runs, by name."""


@hookspec
def run_started(run: RunStarted) -> None:
    """Called when a run begins, where `--observe` names the plugin.

    A hook may leave out what it does not need.
    """


@hookspec
def epoch_ended(run: RunStarted, event: EpochEnded) -> None:
    """Called when an epoch was trained and validated: `event.row` is its line in the history."""


@hookspec
def run_ended(run: RunStarted, event: RunEnded) -> None:
    """Called with the result of a run, as its file holds it: `event.result`."""


OBSERVER_HOOKS = ("run_started", "epoch_ended", "run_ended")
"""The hooks that make a plugin an observer.

One that implements none cannot be named by `--observe`.
"""
