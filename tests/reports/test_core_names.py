"""The core knows no report, and what reports are made with knows no method."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import installed

CORE = Path(__file__).resolve().parents[2] / "distillbench"
REPORTS = [c.name for c in installed() if c.kind == "report" and c.distribution == "distillbench"]
WORDS = {"budget", "claims", "controls"}
"""Names of reports that are words of the core's own: what a run spent, what a loss promises."""
PLAIN = {"all"}
"""Names of components that are values of the core's own: k of a network that sees all frames."""


def texts() -> Iterator[tuple[str, str]]:
    for path in CORE.rglob("*"):
        if path.suffix in (".py", ".txt"):
            yield str(path.relative_to(CORE)), path.read_text(encoding="utf-8")


def strings(text: str) -> set[str]:
    """Every text of a module that is no documentation."""
    tree = ast.parse(text)
    lone = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    constants = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in lone]
    return {n.value for n in constants if isinstance(n.value, str)}


@pytest.mark.parametrize("name", REPORTS)
def test_no_shipped_report_is_named_in_the_core(name: str) -> None:
    pattern = rf"report {name}\b" if name in WORDS else rf"(?<![\w-]){re.escape(name)}(?![\w-])"
    assert [path for path, text in texts() if re.search(pattern, text)] == []


def test_what_reports_are_made_with_names_no_shipped_component() -> None:
    names = {c.name for c in installed() if c.distribution == "distillbench"} - PLAIN
    telling = {"uniform", "scratch", "serial", "parallel", "rep", "pred", "hrnn"}
    assert telling < names
    for path in sorted((CORE / "reports").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert not names & strings(text), path
        found = [name for name in telling if re.search(rf"(?<![\w-]){name}(?![\w-])", text)]
        assert not found, (path, found)
