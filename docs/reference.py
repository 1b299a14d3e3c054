"""`python docs/reference.py`: makes api.md, the reference of every public name, from signatures and docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

PAGE = Path(__file__).resolve().parent / "api.md"
MODULES = (
    "distillbench",
    "distillbench.interfaces",
    "distillbench.data",
    "distillbench.deployment",
    "distillbench.reports",
    "distillbench.errors",
    "distillbench.testing",
)
_HEAD = """# Interfaces

Every public name, made from its docstring by `make docs`. [From Python](python-api.md) shows how to use the functions,
[writing a plugin](writing-a-plugin.md) how to derive from the classes. What does not stand here may change in any release.

Letters of shapes: B videos, T frames (padded), S frames kept, D feature width, E encoding width, W state width, C classes, V videos
of a split.

`distillbench.hookimpl`, pluggy's marker, stands before each function by which a plugin offers its classes.
"""
_WIDEST = 96
_EXPLAINED = re.compile(r"^(\*{0,2}\w[\w*, .]{0,40}): ")


def reference() -> str:
    """Makes the page."""
    return _HEAD + "".join(map(_section, map(importlib.import_module, MODULES)))


def _section(module: ModuleType) -> str:
    summary = inspect.cleandoc(module.__doc__ or "").splitlines()[0]
    entries = (_entry(name, getattr(module, name)) for name in sorted(module.__all__))
    return f"\n## {module.__name__}\n\n{summary}\n" + "".join(entries)


def _entry(name: str, found: Any) -> str:
    head = f"\n### {name}\n"
    if inspect.isclass(found):
        return head + "".join(_class(found))
    if inspect.isfunction(found):
        return head + _code(_signature(name, found)) + _prose(found)
    return f"{head}\n`{name} = {found!r}`\n" if isinstance(found, str | int | float) else ""


def _class(cls: type) -> Iterator[str]:
    """Yields how a class is made, what it is, and what it offers itself."""
    yield _code(_signature(cls.__name__, cls)) + _prose(cls)
    for name, member in vars(cls).items():
        of = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if inspect.isfunction(of) and not name.startswith("_") and inspect.getdoc(of):
            shown = name if isinstance(member, property) else _signature(name, of)
            abstract = getattr(member, "__isabstractmethod__", False)
            yield _code(shown + ("  # every subclass writes its own" if abstract else ""))
            yield _prose(of)


def _signature(name: str, of: Any) -> str:
    """Writes a call, over several lines where it is long; without one that can be told, the name."""
    try:
        signature = inspect.signature(of)
    except (TypeError, ValueError):
        return name
    starred, given = False, []
    for each in signature.parameters.values():
        if each.kind is each.KEYWORD_ONLY and not starred:
            given.append("*")
        starred |= each.kind in (each.VAR_POSITIONAL, each.KEYWORD_ONLY)
        if each.name not in ("self", "cls"):
            given.append(_parameter(each))
    returned = signature.return_annotation
    is_function = inspect.isfunction(of) and returned is not inspect.Signature.empty
    end = f" -> {_annotation(returned)}" if is_function else ""
    short = f"{name}({', '.join(given)}){end}"
    return (
        short
        if len(short) <= _WIDEST
        else "\n    ".join([f"{name}(", *_commas(given)]) + f"\n){end}"
    )


def _commas(words: list[str]) -> list[str]:
    return [f"{word}," for word in words]


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    words = stars + parameter.name
    if parameter.annotation is not parameter.empty:
        words += f": {_annotation(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return words
    default = parameter.default
    shown = default.__name__ if inspect.isroutine(default) else repr(default)
    if isinstance(default, frozenset):  # whose order is another in every process
        shown = f"{{{', '.join(map(repr, sorted(default)))}}}"
    # What prints itself by its place in memory or by its class is no default that a reader could write.
    return f"{words} = {'...' if shown.startswith('<') else shown}"


def _annotation(annotation: object) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _code(text: str) -> str:
    return f"\n```text\n{text}\n```\n"


def _prose(of: object) -> str:
    """Writes a docstring: its paragraphs, and a list of what it explains by name."""
    lines: list[str] = []
    for line in (inspect.getdoc(of) or "").splitlines():
        explained = _EXPLAINED.match(line)
        if explained:
            lines.append(f"- **{explained[1]}**: {line[explained.end() :]}")
        elif lines and line.startswith(" ") and lines[-1].strip():
            lines.append(f"  {line.strip()}")
        else:
            is_first_after_list = line.strip() and lines and lines[-1].startswith(("- **", "  "))
            lines += ["", line] if is_first_after_list else [line]
    spaced: list[str] = []
    for line in lines:
        begins_list = line.startswith("- **") and spaced and spaced[-1].strip()
        if begins_list and not spaced[-1].startswith(("- **", "  ")):
            spaced.append("")
        spaced.append(line)
    text = "\n".join(spaced).strip()
    return f"\n{text}\n" if text else ""


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
