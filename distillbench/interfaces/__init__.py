"""What flows between the parts of a run, and what a plugin of each kind is: one module a kind.

The letters used for shapes: B videos, T frames (padded), S frames kept, D feature width, E encoding width,
W state width, C classes, V videos of a split.

Positional constructor arguments are given by the framework; keyword-only ones are the component's knobs: each is
typed (`int`, `float`, `bool`, `str`, `Literal[...]` or `... | None`) and has a default.
"""

from distillbench.interfaces.clip_generator import ClipGenerator
from distillbench.interfaces.clips import NO_FRAME, Clips, Codec
from distillbench.interfaces.datasets import DataSet, LabelKind, Labels, Splits, Videos
from distillbench.interfaces.losses import Claim, MatchingLoss, Need, Passport
from distillbench.interfaces.networks import Encoder, Encoding, Head, Outcome, Shapes
from distillbench.interfaces.presets import Preset
from distillbench.interfaces.schedules import HeadSharing, Network, Phase, Targets, TrainingSchedule
from distillbench.interfaces.selectors import FrameSelector, Keeps

INTERFACE_VERSION = 1
"""Part of every key: grows when a plugin must change, or when the same run comes to mean other numbers."""

__all__ = [
    "INTERFACE_VERSION",
    "NO_FRAME",
    "Claim",
    "ClipGenerator",
    "Clips",
    "Codec",
    "DataSet",
    "Encoder",
    "Encoding",
    "FrameSelector",
    "Head",
    "HeadSharing",
    "Keeps",
    "LabelKind",
    "Labels",
    "MatchingLoss",
    "Need",
    "Network",
    "Outcome",
    "Passport",
    "Phase",
    "Preset",
    "Shapes",
    "Splits",
    "Targets",
    "TrainingSchedule",
    "Videos",
]
