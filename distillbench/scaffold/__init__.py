"""Writes a new plugin's project: one that passes the contract at once."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from distillbench.errors import ConfigError, PluginError
from distillbench.registry.knobs import nearest

_TRIES = {
    "data": "distillbench run --data $name",
    "encoder": "distillbench run --student $name --schedule scratch",
    "head": "distillbench run --head $name",
    "selector": "distillbench run --selector $name --k 15",
    "learned-selector": "distillbench run --selector $name --k 15",
    "exit-policy": "distillbench run --exit-policy $name --student AN-ENCODER-WITH-EXITS",
    "label-loss": "distillbench run --loss $name",
    "matching-loss": "distillbench run --loss $name",
    "schedule": "distillbench run --schedule $name",
    "preset": "distillbench run --preset $name",
    "executor": "distillbench sweep --seed 0:2 --executor $name",
    "exporter": "distillbench export RUN --to $name --out network.pt",
    "report": "distillbench report $name",
    "metric": "distillbench run",
    "observer": "distillbench run --observe $name",
}
PROJECTS = tuple(_TRIES)
"""What a project can be made for; an encoder is offered as teacher and as student."""

_ALIASES = {"teacher": "encoder", "student": "encoder", "dataset": "data", "loss": "matching-loss"}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Project:
    """A project that was written: its folder, and a command that uses the plugin."""

    folder: Path
    try_it: str


def project_kind(kind: str) -> str:
    """Returns what a project for a kind is made for: `teacher` and `student` are one, and `loss` matches a teacher."""
    return _ALIASES.get(kind, kind)


def write_project(kind: str, name: str, parent: Path, taken: Iterable[str] = ()) -> Project:
    """Writes `parent/name`: pyproject.toml, README.md, a module and its test.

    taken: the names of components that are installed. Raises `ConfigError` for a name or kind that cannot be,
    `PluginError` where the folder is there already.
    """
    kind = project_kind(kind)
    problems = _problems(kind, name, set(taken))
    if problems:
        raise ConfigError(problems)
    folder, words = parent / name, _words(kind, name)
    if folder.exists():
        raise PluginError(
            f"'{folder}' is there already; choose another name, or another folder with --to"
        )
    for path, template in (
        ("pyproject.toml", "pyproject.toml"),
        ("README.md", "README.md"),
        (f"{words['module']}.py", f"{kind}.py"),
        ("tests/test_contract.py", "test_contract.py"),
    ):
        _write(folder / path, rendered(template, words))
    return Project(folder, words["try_it"])


def rendered(template: str, words: dict[str, str]) -> str:
    """Fills a template."""
    text = (
        files("distillbench.scaffold")
        .joinpath("templates", f"{template}.txt")
        .read_text(encoding="utf-8")
    )
    return Template(text).substitute(words)


def example(kind: str, name: str) -> str:
    """Returns the module that a new project of that kind begins with."""
    return rendered(f"{kind}.py", _words(kind, name))


def _words(kind: str, name: str) -> dict[str, str]:
    parts = name.split("-")
    return {
        "kind": {"data": "data set"}.get(kind, kind.replace("-", " ")),
        "name": name,
        "module": "_".join(parts),
        "Class": "".join(part.capitalize() for part in parts),
        "Title": " ".join(parts).capitalize(),
        "try_it": Template(_TRIES[kind]).substitute(name=name),
    }


def _problems(kind: str, name: str, taken: set[str]) -> list[str]:
    problems = []
    if kind not in PROJECTS:
        problems.append(
            f"there is no kind '{kind}'{nearest(kind, PROJECTS)}; there are: {', '.join(PROJECTS)}"
        )
    if not _NAME.fullmatch(name):
        problems.append(
            f"a plugin's name is lower-case words joined by hyphens, such as my-selector; found '{name}'"
        )
    elif name in taken:
        problems.append(f"'{name}' is the name of a component that is installed; choose another")
    elif _hides_a_module(name.replace("-", "_")):
        problems.append(
            f"a module '{name.replace('-', '_')}' would hide one that is installed; choose another name"
        )
    return problems


def _hides_a_module(module: str) -> bool:
    return module in sys.stdlib_module_names or importlib.util.find_spec(module) is not None


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PluginError(f"'{path}' cannot be written: {error.strerror}") from error
