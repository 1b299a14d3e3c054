"""Every hook a plugin may implement. A plugin offers components by name; the framework never imports one itself."""

from __future__ import annotations

from collections.abc import Mapping

import pluggy

from distillbench.interfaces import (
    DataSet,
    Encoder,
    FrameSelector,
    Head,
    MatchingLoss,
    Preset,
    TrainingSchedule,
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
def matching_losses() -> Mapping[str, type[MatchingLoss]]:  # type: ignore[empty-body]
    """Offers losses, by the names given to `--loss`."""


@hookspec
def training_schedules() -> Mapping[str, type[TrainingSchedule]]:  # type: ignore[empty-body]
    """Offers training schedules, by the name given to `--schedule`."""


@hookspec
def presets() -> Mapping[str, type[Preset]]:  # type: ignore[empty-body]
    """Offers presets, by the name given to `--preset`."""


HOOK_OF_KIND: Mapping[str, tuple[str, type]] = {
    "data": ("datasets", DataSet),
    "teacher": ("teacher_encoders", Encoder),
    "student": ("student_encoders", Encoder),
    "head": ("heads", Head),
    "selector": ("frame_selectors", FrameSelector),
    "loss": ("matching_losses", MatchingLoss),
    "schedule": ("training_schedules", TrainingSchedule),
    "preset": ("presets", Preset),
}
"""Each kind of component: the hook that offers it and the class it derives from."""
