"""An correct preset, and for each promise one that breaks it alone."""

from __future__ import annotations

from violations.violating import violating

from distillbench.interfaces import Preset


def build(self) -> None:
    pass


def settings(self, k: int):
    return {"selector": "uniform", "student.cell_size": 8 * k}


PARTS = {"__init__": build, "settings": settings}
CORRECT = violating(Preset, PARTS)


def names_no_section(self, k: int):
    return {"students.cell_size": 8}


def counts_its_calls(self, k: int):
    self.asked = getattr(self, "asked", 0) + 1
    return {"training.epochs": self.asked}


VIOLATIONS = [
    ("its_settings_are_understood", violating(Preset, PARTS, settings=names_no_section)),
    ("is_pure", violating(Preset, PARTS, settings=counts_its_calls)),
]
