"""Every check bites a component that breaks its promise, and no other check does."""

from __future__ import annotations

import pytest
from violations import (
    backbones,
    datasets,
    encoders,
    executors,
    exit_policies,
    exporters,
    heads,
    label_losses,
    learned_selectors,
    losses,
    metrics,
    presets,
    reports,
    schedules,
    selectors,
    tuners,
)

from distillbench.registry.discovery import Component
from distillbench.registry.kinds import KINDS
from distillbench.testing.promises import Subject
from distillbench.testing.runner import CHECKS, import_effects, verdicts

VIOLATIONS = {
    "data": datasets,
    "student": encoders,
    "head": heads,
    "selector": selectors,
    "learned-selector": learned_selectors,
    "exit-policy": exit_policies,
    "label-loss": label_losses,
    "matching-loss": losses,
    "schedule": schedules,
    "preset": presets,
    "executor": executors,
    "exporter": exporters,
    "backbone": backbones,
    "tuner": tuners,
    "report": reports,
    "metric": metrics,
}
EFFECTS = {
    "draws": "torch's random state changed",
    "shouts": "it printed 'hello'",
    "warns": "it warned: UserWarning: be careful",
    "hushes": "what warnings are shown changed",
    "widens": "the default type changed",
    "hogs": "the number of threads changed",
    "fails": "importing violations.importing.fails raised RuntimeError: no such luck",
}
CASES = [
    pytest.param(kind, check, cls, id=f"{kind}-{check}-{number}")
    for kind, module in VIOLATIONS.items()
    for number, (check, cls) in enumerate(module.VIOLATIONS)
]


def broken(kind: str, cls: type, *effects: str) -> dict[str, str]:
    subject = Subject(Component(kind, "violation", cls, "violations", "1"), effects)
    return {v.check.name: v.received for v in verdicts(subject) if v.status == "broken"}


@pytest.mark.parametrize("kind", VIOLATIONS)
def test_a_correct_component_passes_every_check(kind):
    assert broken(kind, VIOLATIONS[kind].CORRECT) == {}


def test_a_correct_figure_passes_every_check():
    assert broken("report", reports.CORRECT_FIGURE) == {}


@pytest.mark.parametrize(("kind", "check", "cls"), CASES)
def test_its_own_check_alone_finds_a_violation(kind, check, cls):
    found = broken(kind, cls)
    assert set(found) == {check}, found
    assert found[check], "a cross says what was received"


def test_every_check_has_a_violation():
    common = set.intersection(*({check.name for check in checks} for checks in CHECKS.values()))
    lied_about = {
        kind: {check for check, _ in module.VIOLATIONS} for kind, module in VIOLATIONS.items()
    }
    anywhere = set().union(*lied_about.values()) | {"importing_changes_nothing"}
    assert common <= anywhere
    of_losses = {check.name for check in CHECKS["label-loss"]} & {
        check.name for check in CHECKS["matching-loss"]
    }
    lied_about["label-loss"] |= lied_about["matching-loss"] & of_losses
    for kind, module_checks in lied_about.items():
        assert {check.name for check in CHECKS[kind]} - common <= module_checks


def test_every_kind_has_its_liars():
    assert {*VIOLATIONS, "teacher"} == {*KINDS}


def test_importing_is_watched_in_a_fresh_process():
    found = import_effects([f"violations.importing.{name}" for name in ("is_quiet", *EFFECTS)])
    assert found.pop("violations.importing.is_quiet") == ()
    assert found == {f"violations.importing.{name}": (effect,) for name, effect in EFFECTS.items()}


def test_what_importing_changed_breaks_that_promise_alone():
    assert broken("preset", presets.CORRECT, "it printed 'hello'") == {
        "importing_changes_nothing": "it printed 'hello'"
    }
