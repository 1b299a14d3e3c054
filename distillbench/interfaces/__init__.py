"""What flows between the parts of a run, and what a plugin of each kind is: one module a kind.

The letters used for shapes: B videos, T frames (padded), S frames kept, D feature width, E encoding
width, W state width, C classes, V videos of a split.

Positional constructor arguments are given by the framework; keyword-only ones are the component's
knobs: each is typed (`int`, `float`, `bool`, `str`, `Literal[...]` or `... | None`) and has a
default. One that is annotated with a frozen dataclass, and has an instance for its default, stands
for the fields of the dataclass, which are knobs of the component itself, so that components may
share them.
"""

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
from distillbench.interfaces.tuners import Between, OneOf, Space, Study, Trial, TrialState, Tuner

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
