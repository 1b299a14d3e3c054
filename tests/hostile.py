"""Writes plugins that are broken on purpose, as distributions that can be found but not be trusted."""

from __future__ import annotations

from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

HEAD = '''"""A plugin that was written by a third party."""

import os
import sys
from collections.abc import Mapping

import torch

from distillbench import hookimpl
from distillbench.interfaces import *
from distillbench.interfaces import NO_FRAME


class Odd(BaseException):
    def __str__(self):
        raise self


class Raising:
    def __get__(self, instance, owner):
        raise Odd

    __hash__ = __repr__ = __eq__ = __iter__ = lambda *given: 1 / 0


READY = []  # filled once the class is made


class BadMapping(Mapping):
    def __getitem__(self, name):
        raise Odd

    def __iter__(self):
        raise Odd

    def __len__(self):
        return 1


'''

KINDS = {
    "selector": (
        "frame_selectors",
        "FrameSelector",
        """
    def __init__(self, k: int, *, knob: int = 1) -> None:
        self.k = k

    def select(self, lengths, scanned, generator, training):
        index = torch.arange(min(self.k, int(lengths.max()))).expand(len(lengths), -1)
        return index.masked_fill(index >= lengths[:, None], NO_FRAME)
""",
    ),
    "schedule": (
        "training_schedules",
        "TrainingSchedule",
        """
    def __init__(self, objective, *, knob: int = 1) -> None:
        self.objective = objective

    def phases(self, epochs):
        return [Phase("student", epochs, {"student": Learner(self.objective.supervised())})]
""",
    ),
    "preset": (
        "presets",
        "Preset",
        """
    def __init__(self, *, knob: int = 1) -> None: ...

    def settings(self, k):
        return {"training.epochs": 3}
""",
    ),
    "label-loss": (
        "label_losses",
        "LabelLoss",
        """
    requirements = Requirements(frozenset({"labels", "logits"}))

    def __init__(self, context, *, knob: int = 1) -> None:
        super().__init__(context)

    def forward(self, output, batch):
        return (output.logits - batch.labels).square().mean()
""",
    ),
    "matching-loss": (
        "matching_losses",
        "MatchingLoss",
        """
    requirements = Requirements(frozenset({"logits"}))

    def __init__(self, context, *, knob: int = 1) -> None:
        super().__init__(context)

    def forward(self, output, teacher, batch):
        return (output.logits - teacher.logits).square().mean()
""",
    ),
    "learned-selector": (
        "learned_selectors",
        "LearnedSelector",
        """
    def __init__(self, width, k, *, knob: int = 1) -> None:
        super().__init__()
        self.k, self.score = k, torch.nn.Linear(width, 1)

    def candidates(self, lengths):
        index = torch.arange(int(lengths.max())).expand(len(lengths), -1)
        return index.masked_fill(index >= lengths[:, None], NO_FRAME)

    def forward(self, candidates, generator):
        index = torch.arange(min(self.k, candidates.frames.shape[1])).expand(len(candidates.lengths), -1)
        index = index.masked_fill(index >= candidates.lengths[:, None], NO_FRAME)
        scores = self.score(candidates.frames)[:, :, 0].sigmoid()
        return Selection(index, scores.gather(1, index.clamp_min(0)))
""",
    ),
    "data": (
        "datasets",
        "DataSet",
        """
    recipe = {"training.epochs": 3}

    def __init__(self, *, knob: int = 1) -> None: ...

    def splits(self):
        return None
""",
    ),
    "metric": (
        "metrics",
        "Metric",
        """
    title = "strange"

    def __init__(self, *, knob: int = 1) -> None: ...

    def compute(self, predictions):
        return 0.5
""",
    ),
    "head": (
        "heads",
        "Head",
        """
    def __init__(self, width, classes, *, knob: int = 1) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(width, classes)

    def forward(self, summary):
        return self.linear(summary)
""",
    ),
    "executor": (
        "executors",
        "Executor",
        """
    running = property(lambda self: ())
    free = property(lambda self: 1)

    def __init__(self, demand, *, knob: int = 1) -> None: ...

    def submit(self, job): ...

    def events(self, timeout):
        return iter(())

    def shutdown(self): ...
""",
    ),
    "tuner": (
        "tuners",
        "Tuner",
        """
    def __init__(self, study, *, knob: int = 1) -> None: ...

    def ask(self): ...

    def tell(self, number, state, quality): ...

    def trials(self):
        return []
""",
    ),
    "backbone": (
        "backbones",
        "Backbone",
        """
    def __init__(self, *, knob: int = 1) -> None: ...

    def load(self):
        return None
""",
    ),
    "exporter": (
        "exporters",
        "Exporter",
        """
    suffix = ".strange"

    def __init__(self, *, knob: int = 1) -> None: ...

    def export(self, network, example, about, path): ...

    def load(self, path):
        return None
""",
    ),
    "report": (
        "reports",
        "Report",
        """
    def __init__(self, *, knob: int = 1) -> None: ...

    def make(self, runs):
        return Table("Strange", (), (), ())
""",
    ),
}
"""By kind: its hook, its interface, and the body of a class that does for an honest one."""


def module(
    kind: str,
    name: object = "strange",
    body: str = "",
    after: str = "",
    before: str = "",
    hook: str = "",
    meta: str = "",
) -> str:
    """Writes a module with one component, and what is to be wrong with it: in its class, after it, in its hook."""
    offers, base, honest = KINDS[kind]
    metaclass = f"class Meta(type({base})):\n    {meta}\n\n\n" if meta else ""
    heading = f"class Strange({base}, metaclass=Meta):" if meta else f"class Strange({base}):"
    told = hook or f"return {{{name!r}: Strange}}"
    return (
        f"{HEAD}{before}\n\n{metaclass}{heading}\n"
        '    """Does something.\n\n    Knobs:\n        knob: turns nothing.\n    """\n'
        f"{honest}\n    {body}\n\n\n{after}\n\n\n@hookimpl\ndef {offers}():\n    {told}\n"
    )


def install(
    folder: Path, modules: dict[str, str], name: str = "hostile-methods", version: str = "6.6"
) -> Path:
    """Lays a distribution out in a folder that belongs on `sys.path`: its modules, and an entry point for each."""
    for module_name, text in modules.items():
        (folder / f"{module_name}.py").write_text(text, encoding="utf-8")
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    entries = "".join(f"{module_name} = {module_name}\n" for module_name in modules)
    (info / "entry_points.txt").write_text(f"[distillbench]\n{entries}")
    return folder


def beside(*folders: Path) -> list[Distribution]:
    """Lists what is found where nothing but distillbench and these folders is installed."""
    return [distribution("distillbench"), *distributions(path=[str(folder) for folder in folders])]
