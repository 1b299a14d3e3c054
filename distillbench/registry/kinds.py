"""Every kind of component in one table.

A new kind is a line here, an interface, a hook and a module of checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from distillbench import interfaces


@dataclass(frozen=True)
class Kind:
    """One kind of component.

    hook: the hook that offers components of the kind.
    interface: the name of the class that they derive from.
    title: what a page calls several of them.
    checks: the module of `distillbench.testing` that has their promises.
    section: the setting that chooses one; kinds of one section share their names.
    """

    name: str
    hook: str
    interface: str
    title: str
    checks: str
    section: str = ""

    @property
    def base(self) -> type:
        """The class that components derive from; most of them import torch."""
        found: type = getattr(interfaces, self.interface)
        return found

    @property
    def chosen_by(self) -> str:
        """The setting that chooses a component of the kind, by which names are told apart."""
        return self.section or self.name


_TABLE = (
    Kind("data", "datasets", "DataSet", "Data sets", "datasets"),
    Kind(
        "teacher", "teacher_encoders", "Encoder", "Encoders, as teacher or as student", "encoders"
    ),
    Kind(
        "student", "student_encoders", "Encoder", "Encoders, as teacher or as student", "encoders"
    ),
    Kind("head", "heads", "Head", "Heads", "heads"),
    Kind("selector", "frame_selectors", "FrameSelector", "Frame selectors", "selectors"),
    Kind(
        "learned-selector",
        "learned_selectors",
        "LearnedSelector",
        "Learned selectors",
        "learned_selectors",
        "selector",
    ),
    Kind(
        "exit-policy",
        "exit_policies",
        "ExitPolicy",
        "Exit policies",
        "exit_policies",
        "exit_policy",
    ),
    Kind("label-loss", "label_losses", "LabelLoss", "Label losses", "label_losses", "loss"),
    Kind(
        "matching-loss",
        "matching_losses",
        "MatchingLoss",
        "Matching losses",
        "matching_losses",
        "loss",
    ),
    Kind("schedule", "training_schedules", "TrainingSchedule", "Training schedules", "schedules"),
    Kind("preset", "presets", "Preset", "Presets", "presets"),
    Kind("executor", "executors", "Executor", "Executors", "executors"),
    Kind("tuner", "tuners", "Tuner", "Tuners", "tuners"),
    Kind("exporter", "exporters", "Exporter", "Exporters", "exporters"),
    Kind("backbone", "backbones", "Backbone", "Backbones", "backbones"),
    Kind("report", "reports", "Report", "Reports", "reports"),
    Kind("metric", "metrics", "Metric", "Metrics", "metrics"),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _TABLE}
"""Each kind by its name, in the order in which they are listed."""
