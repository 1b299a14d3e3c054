"""The contract kit: what a component of each kind promises, as functions that test it."""

from __future__ import annotations

from distillbench.checks.promises import Broken, Check, Subject, Unclaimed
from distillbench.checks.runner import CHECKS, Verdict, subjects, verdict, verdicts
from distillbench.checks.suite import contract_tests

__all__ = [
    "CHECKS",
    "Broken",
    "Check",
    "Subject",
    "Unclaimed",
    "Verdict",
    "contract_tests",
    "subjects",
    "verdict",
    "verdicts",
]
