"""Tables of the shipped components, and of the hooks that offer them."""

from __future__ import annotations

import inspect
import re

from distillbench.registry.discovery import Component, discover
from distillbench.registry.hookspecs import OBSERVER_HOOKS
from distillbench.registry.kinds import KINDS
from made_from_code import board
from made_from_code.tables import REPOSITORY, rows_of, table

NOTES = REPOSITORY / "docs" / "methods.csv"
_BAR = r"\|"
_SOURCE = re.compile(r"\b\d{4}\.\d{4,5}\b|docs/paper\.md")
_SOURCE_IN_BRACKETS = re.compile(r" \([^()]*(?:\d{4}\.\d{4,5}|docs/paper)[^()]*\)")


def methods(kind: str) -> str:
    """Makes a table of the shipped components of a kind.

    What each is and its source come from its docstring, when to use it and the arm of the board that
    is about it from methods.csv, and its row from that board.
    """
    notes = {row["name"]: row for row in rows_of(NOTES) if row["kind"] == kind}
    on_board = board.cells_of_arms()
    heads = ["name", "what it is", "source", "when to use it"]
    heads += ["its row"] if any(row["arm"] for row in notes.values()) else []
    rows = []
    for component in sorted(discover(), key=lambda found: found.name):
        if component.kind == kind and component.distribution == "distillbench":
            note = notes[component.name]
            cells = (
                f"`{component.name}`",
                _SOURCE_IN_BRACKETS.sub("", component.summary),
                _sources(component),
                note["when"],
                on_board.get(note["arm"], "-"),
            )[: len(heads)]
            rows.append([cell.replace("|", _BAR) for cell in cells])
    return table(heads, rows)


def _sources(component: Component) -> str:
    named = dict.fromkeys(_SOURCE.findall(inspect.getdoc(component.cls) or ""))
    sources = [f"arXiv {name}" if name[0].isdigit() else name for name in named]
    return ", ".join(sources or _printed_source(component.cls)) or "-"


def _printed_source(cls: type) -> list[str]:
    """Finds the source in the first line of a module whose paper is not on arXiv."""
    first, *_ = (inspect.getdoc(inspect.getmodule(cls)) or "").splitlines()
    found = re.search(r"\(([^()]*\d{4})\)", first)
    return [found[1]] if found else []


def hooks() -> str:
    """Makes the table of hooks: for each kind the one that offers it, and its interface."""
    rows = [(kind.name, f"`{kind.hook}`", f"`{kind.base.__name__}`") for kind in KINDS.values()]
    rows.append(("observer", ", ".join(f"`{hook}`" for hook in OBSERVER_HOOKS), "functions"))
    rows.append(("sweep files", "`sweep_files`", "paths of TOML files"))
    return table(("kind", "hook", "a class derived from"), rows)
