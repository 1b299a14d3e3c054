"""No shipped component is named in the core, in code or in prose."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import installed

CORE = Path(__file__).resolve().parents[1] / "distillbench"
NAMES = sorted({c.name for c in installed() if c.distribution == "distillbench"})
WORDS = frozenset(
    [
        "all",
        "at",
        "budget",
        "claims",
        "confidence",
        "controls",
        "cosine",
        "defaults",
        "digits",
        "dist",
        "ensemble",
        "first",
        "gap",
        "hint",
        "last",
        "local",
        "map",
        "margin",
        "middle",
        "npy",
        "packed",
        "parquet",
        "paper",
        "parallel",
        "patience",
        "random",
        "scratch",
        "synthetic",
        "teacher",
        "uniform",
    ]
)
"""Names that are English words or terms of the field: only a literal in code can be the name."""
LITERALS = {
    "all": "k of a network that sees all frames, and a metric's need of all scores",
    "budget": "a section of a result file",
    "claims": "an attribute of `Requirements`",
    "digits": "an attribute of a table's cell",
    "first": "an axis of toy runs, an end of a learning curve and a counter in a file",
    "last": "an aggregate of pandas and an end of a learning curve",
    "paper": "the paper's number beside ours in a cell",
    "patience": "a setting of training",
    "synthetic": "the beginning of file names of synthetic shards",
    "teacher": "a section of settings",
}
"""Why a word stands in the core as a literal, though it is no component's name there."""
STORED = {
    "results/format1.py": {"gap", "map", "map_at_20"},
    "evaluation/fidelity.py": {"top_1"},
    "analysis/rows.py": {"top_1"},
}
"""Fields of result files: the metrics of format 1, and the agreement of student and teacher."""


def files() -> Iterator[tuple[str, str]]:
    for path in sorted(CORE.rglob("*")):
        if path.suffix in (".py", ".txt"):
            yield path.relative_to(CORE).as_posix(), path.read_text(encoding="utf-8")


def literals(text: str) -> set[str]:
    """Every text constant of a module."""
    found = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    return {value for value in found if isinstance(value, str)}


TEXTS = dict(files())


@pytest.mark.parametrize("name", sorted(set(NAMES) - WORDS))
def test_a_name_stands_nowhere_in_the_core(name: str) -> None:
    whole = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    found = [
        path
        for path, text in TEXTS.items()
        if whole.search(text) and name not in STORED.get(path, ())
    ]
    assert found == []


@pytest.mark.parametrize("name", sorted(set(NAMES) & WORDS - set(LITERALS)))
def test_a_word_is_no_literal_in_the_core(name: str) -> None:
    modules = {path: text for path, text in TEXTS.items() if path.endswith(".py")}
    found = [path for path, text in modules.items() if name in literals(text)]
    assert [path for path in found if name not in STORED.get(path, ())] == []


def test_every_word_is_the_name_of_a_component() -> None:
    assert {*NAMES, "at", "cosine", "dist", "hint"} >= WORDS
    assert set(LITERALS) <= WORDS
