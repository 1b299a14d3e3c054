"""A page of runs that never were, with every kind of row and with names that are markup."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from distillbench.analysis.loading import Loaded
from distillbench.page.content import Content
from distillbench.results.failures import Failure
from distillbench.results.store import Result
from distillbench.testing import toy_runs

HOSTILE = (
    "</script><script>alert(1)</script>'\"&\u2028\u2029<img src=x onerror=alert(1)>=1+1\u202e_^"
)
FORMULA = "=cmd|'x%7C'!A0, \"q\""

_METHODS: tuple[dict[str, object], ...] = (
    {"schedule": "toy-a"},
    {"schedule": "toy-b"},
    {"schedule": HOSTILE, "loss": "${alert(1)}"},
    {"schedule": FORMULA},
    {"schedule": "datum['x']", "selector": "{{title}}"},
)


def many(methods: int) -> list[dict[str, object]]:
    """Lists so many more methods, one run each."""
    return [{"schedule": f"toy-{number}", "k": 6 + number % 9} for number in range(methods)]


def results_of(more: int = 0) -> list[Result]:
    """Makes runs of two seeds at two k, a network that sees all frames, and a control."""
    rows = [{**of, "k": k, "seed": seed} for of in _METHODS for k in (6, 10) for seed in (0, 1)]
    rows += [{"schedule": "toy-a", "k": "all", "seed": seed} for seed in (0, 1)]
    made = toy_runs.results([*rows, *many(more)])
    return [_named(_as_control(result) if 4 <= n < 6 else result) for n, result in enumerate(made)]


def _as_control(result: Result) -> Result:
    content: Any = result.content
    (learner,) = content["setup"]["phases"][0]["learners"].values()
    teacher = {"network": "teacher", "videos": "shuffled", "untrained": False, "view": "own"}
    learner["terms"][0]["teacher"] = teacher
    content["warnings"].append(HOSTILE)
    return result


def _named(result: Result) -> Result:
    return dataclasses.replace(result, path=Path("no such folder; $(x)", result.path.name))


def loaded(more: int = 0) -> Loaded:
    """Makes what would be loaded of these runs and of one that failed."""
    results = results_of(more)
    content = {
        "id": "failed0",
        "status": "failed",
        "reason": HOSTILE,
        "network": "student",
        "setup": {**results[0].content["setup"], "seed": 9, "k": 7},
        "warnings": [],
    }
    return Loaded(tuple(results), (), (Failure(Path("failed0.json"), content),))


def content(more: int = 0) -> Content:
    """Makes the content of their page."""
    return Content(loaded(more), print, HOSTILE)
