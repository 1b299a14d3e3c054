"""Writes the project of a new plugin, which passes the checks of the contract."""

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

_EXAMPLE_COMMANDS = {
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
    "tuner": "distillbench tune --try student.cell_size=32,64 --tuner $name",
    "backbone": "distillbench extract VIDEOS --backbone $name --out features",
    "exporter": "distillbench export RUN --to $name --out network.pt",
    "report": "distillbench report $name",
    "metric": "distillbench run",
    "observer": "distillbench run --observe $name",
}
PROJECTS = tuple(_EXAMPLE_COMMANDS)
"""What a project can be written for. An encoder is offered both as teacher and as student."""

_ALIASES = {"teacher": "encoder", "student": "encoder", "dataset": "data", "loss": "matching-loss"}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Project:
    """A project that was written: its folder, and a command that uses the plugin."""

    folder: Path
    try_it: str


def project_kind(kind: str) -> str:
    """Returns the member of `PROJECTS` for a kind of component, or for a common name of one.

    `teacher` and `student` are both `encoder`, and `loss` is `matching-loss`.
    """
    return _ALIASES.get(kind, kind)


def write_project(kind: str, name: str, parent: Path, taken: Iterable[str] = ()) -> Project:
    """Writes the folder `parent/name` with pyproject.toml, README.md, a module and its test.

    kind: a member of `PROJECTS`, or an alias as in `project_kind`.
    name: the plugin's name, lower-case words joined by hyphens.
    parent: the folder that the project's folder is written to.
    taken: the names of installed components.

    Raises `ConfigError` if the kind or the name is not valid, and `PluginError` if the folder
    exists.
    """
    kind = project_kind(kind)
    problems = _problems(kind, name, set(taken))
    if problems:
        raise ConfigError(problems)
    folder = parent / name
    if folder.exists():
        raise PluginError(
            f"'{folder}' exists already; choose another name, or another folder with --to"
        )
    words = _words(kind, name)
    templates = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{words['module']}.py": f"{kind}.py",
        "tests/test_contract.py": "test_contract.py",
    }
    for path, template in templates.items():
        _write(folder / path, rendered(template, words))
    return Project(folder, words["try_it"])


def rendered(template: str, words: dict[str, str]) -> str:
    """Fills a template.

    template: the name of a file in `templates`, without `.txt`.
    words: the texts that replace `$name` and the like.
    """
    file = files("distillbench.scaffold").joinpath("templates", f"{template}.txt")
    return Template(file.read_text(encoding="utf-8")).substitute(words)


def example(kind: str, name: str) -> str:
    """Returns the module of a new project of that kind."""
    return rendered(f"{kind}.py", _words(kind, name))


def _words(kind: str, name: str) -> dict[str, str]:
    parts = name.split("-")
    return {
        "kind": {"data": "data set"}.get(kind, kind.replace("-", " ")),
        "name": name,
        "module": "_".join(parts),
        "Class": "".join(part.capitalize() for part in parts),
        "Title": " ".join(parts).capitalize(),
        "try_it": Template(_EXAMPLE_COMMANDS[kind]).substitute(name=name),
    }


def _problems(kind: str, name: str, taken: set[str]) -> list[str]:
    problems = []
    module = name.replace("-", "_")
    if kind not in PROJECTS:
        problems.append(
            f"there is no kind '{kind}'{nearest(kind, PROJECTS)}; there are: {', '.join(PROJECTS)}"
        )
    if not _NAME.fullmatch(name):
        problems.append(
            "a plugin's name must be lower-case words joined by hyphens, such as my-selector; "
            f"found '{name}'"
        )
    elif name in taken:
        problems.append(f"a component called '{name}' is installed; choose another name")
    # Only a valid name gets here: `find_spec` would import the packages before a dot.
    elif _hides_another(module):
        problems.append(f"a module '{module}' would hide an installed one; choose another name")
    return problems


def _hides_another(module: str) -> bool:
    """Tells whether `import module` already finds a module, which the new one would replace."""
    return module in sys.stdlib_module_names or importlib.util.find_spec(module) is not None


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PluginError(f"'{path}' cannot be written: {error.strerror}") from error
