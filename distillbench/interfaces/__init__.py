"""What flows between the parts of a run, and what a plugin of each kind is: one module a kind.

The letters used for shapes: B videos, T frames (padded), S frames kept, D feature width, E encoding
width, W state width, C classes, V videos of a split.

Positional constructor arguments are given by the framework; keyword-only ones are the component's
knobs: each is typed (`int`, `float`, `bool`, `str`, `Literal[...]` or `... | None`) and has a
default. One that is annotated with a frozen dataclass, and has an instance for its default, stands
for the fields of the dataclass, which are knobs of the component itself, so that components may
share them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distillbench.interfaces.backbones import Backbone, PictureEncoder
    from distillbench.interfaces.clip_generator import ClipGenerator
    from distillbench.interfaces.clips import NO_FRAME, Clips, Codec
    from distillbench.interfaces.datasets import DataSet, LabelKind, Labels, Splits, Videos
    from distillbench.interfaces.early_exit import EarlyExit, ExitPolicy
    from distillbench.interfaces.executors import (
        Demand,
        Executor,
        Failed,
        Finished,
        Lost,
        Message,
        PhaseStarted,
        RunJob,
        RunStatus,
    )
    from distillbench.interfaces.exporters import Exporter
    from distillbench.interfaces.losses import (
        Claim,
        LabelLoss,
        LossBatch,
        LossContext,
        MatchingLoss,
        Need,
        Requirements,
    )
    from distillbench.interfaces.metrics import BEST, Batches, Metric, MetricNeeds, Predictions
    from distillbench.interfaces.networks import Encoder, Encoding, Head, Output, Shapes, States
    from distillbench.interfaces.observers import EpochEnded, RunEnded, RunEvent, RunStarted
    from distillbench.interfaces.presets import Preset
    from distillbench.interfaces.publications import Publication, PublishedFile
    from distillbench.interfaces.reports import (
        Cell,
        Difference,
        Figure,
        Networks,
        Report,
        Row,
        Runs,
        Table,
    )
    from distillbench.interfaces.schedules import (
        Average,
        Copy,
        Ensemble,
        Follow,
        Freeze,
        Init,
        Learner,
        NetworkSpec,
        Objective,
        Phase,
        Ramp,
        Teacher,
        Term,
        Tie,
        TrainingSchedule,
        ViewSpec,
    )
    from distillbench.interfaces.selectors import FrameSelector, Keeps, LearnedSelector, Selection
    from distillbench.interfaces.tuners import (
        Between,
        OneOf,
        Space,
        Study,
        Trial,
        TrialState,
        Tuner,
    )

_HOMES = {
    "backbones": "Backbone PictureEncoder",
    "clip_generator": "ClipGenerator",
    "clips": "NO_FRAME Clips Codec",
    "datasets": "DataSet LabelKind Labels Splits Videos",
    "early_exit": "EarlyExit ExitPolicy",
    "executors": "Demand Executor Failed Finished Lost Message PhaseStarted RunJob RunStatus",
    "exporters": "Exporter",
    "losses": "Claim LabelLoss LossBatch LossContext MatchingLoss Need Requirements",
    "metrics": "BEST Batches Metric MetricNeeds Predictions",
    "networks": "Encoder Encoding Head Output Shapes States",
    "observers": "EpochEnded RunEnded RunEvent RunStarted",
    "presets": "Preset",
    "publications": "Publication PublishedFile",
    "reports": "Cell Difference Figure Networks Report Row Runs Table",
    "schedules": (
        "Average Copy Ensemble Follow Freeze Init Learner NetworkSpec Objective Phase "
        "Ramp Teacher Term Tie TrainingSchedule ViewSpec"
    ),
    "selectors": "FrameSelector Keeps LearnedSelector Selection",
    "tuners": "Between OneOf Space Study Trial TrialState Tuner",
}
"""The module of each name. Half of them import torch, which takes a second: see `__getattr__`."""

INTERFACE_VERSION = 3
"""The version of the interface, part of every run's key.

It grows when plugins must change, or when the same run gives other numbers.
"""

__all__ = [
    "BEST",
    "INTERFACE_VERSION",
    "NO_FRAME",
    "Average",
    "Backbone",
    "Batches",
    "Between",
    "Cell",
    "Claim",
    "ClipGenerator",
    "Clips",
    "Codec",
    "Copy",
    "DataSet",
    "Demand",
    "Difference",
    "EarlyExit",
    "Encoder",
    "Encoding",
    "Ensemble",
    "EpochEnded",
    "Executor",
    "ExitPolicy",
    "Exporter",
    "Failed",
    "Figure",
    "Finished",
    "Follow",
    "FrameSelector",
    "Freeze",
    "Head",
    "Init",
    "Keeps",
    "LabelKind",
    "LabelLoss",
    "Labels",
    "LearnedSelector",
    "Learner",
    "LossBatch",
    "LossContext",
    "Lost",
    "MatchingLoss",
    "Message",
    "Metric",
    "MetricNeeds",
    "Need",
    "NetworkSpec",
    "Networks",
    "Objective",
    "OneOf",
    "Output",
    "Phase",
    "PhaseStarted",
    "PictureEncoder",
    "Predictions",
    "Preset",
    "Publication",
    "PublishedFile",
    "Ramp",
    "Report",
    "Requirements",
    "Row",
    "RunEnded",
    "RunEvent",
    "RunJob",
    "RunStarted",
    "RunStatus",
    "Runs",
    "Selection",
    "Shapes",
    "Space",
    "Splits",
    "States",
    "Study",
    "Table",
    "Teacher",
    "Term",
    "Tie",
    "TrainingSchedule",
    "Trial",
    "TrialState",
    "Tuner",
    "Videos",
    "ViewSpec",
]

_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """Imports the module of a name when it is first used.

    What is made of results alone needs no network, and so no torch.
    """
    if name not in _HOME_OF:
        raise AttributeError(f"module 'distillbench.interfaces' has no attribute '{name}'")
    module = importlib.import_module(f"distillbench.interfaces.{_HOME_OF[name]}")
    found: object = getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
