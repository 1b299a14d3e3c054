"""The page of commands: each with its arguments, flags and defaults."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from enum import Enum

import typer
from typer.models import ArgumentInfo, OptionInfo

from distillbench.cli.app import app

_COMMAND_LINE = """# The command line

*Made from the code by `make docs`.* Every command has `--help`. An error that the user can mend exits with 2 and says what was
asked, what was found and what to do; `--traceback`, anywhere, shows where it comes from.

"""


def command_line() -> str:
    """Makes the page of commands."""
    return _COMMAND_LINE + "\n".join(_section(path, command) for path, command in _commands())


def list_of_commands() -> str:
    """Makes the list of commands, each with the first line of its docstring."""
    summaries = (
        (path, inspect.cleandoc(command.__doc__ or "").partition("\n")[0])
        for path, command in _commands()
    )
    return "".join(f"- `{path}`: {summary}\n" for path, summary in summaries)


def _commands(
    typer_app: typer.Typer = app, path: str = "distillbench"
) -> Iterator[tuple[str, Callable[..., object]]]:
    for command in typer_app.registered_commands:
        if command.callback is not None:
            yield (
                f"{path} {command.name or command.callback.__name__.replace('_', '-')}",
                command.callback,
            )
    for group in typer_app.registered_groups:
        if group.typer_instance is not None:
            yield from _commands(group.typer_instance, f"{path} {group.name}")


def _section(path: str, command: Callable[..., object]) -> str:
    parameters = inspect.signature(command, eval_str=True).parameters.values()
    arguments = [p for p in parameters if isinstance(_info(p), ArgumentInfo)]
    rows = [_row(parameter) for parameter in parameters]
    table = ["| | | default |", "|---|---|---|", *rows] if rows else []
    usage = " ".join(
        [path, *map(_word, arguments), *(["[OPTIONS]"] if len(arguments) < len(rows) else [])]
    )
    return "\n".join(
        [
            f"## {path}\n",
            f"```text\n{usage}\n```\n",
            f"{inspect.cleandoc(command.__doc__ or '')}\n",
            *table,
            "",
        ]
    )


def _info(parameter: inspect.Parameter) -> ArgumentInfo | OptionInfo:
    found = [
        part
        for part in typing.get_args(parameter.annotation)[1:]
        if isinstance(part, ArgumentInfo | OptionInfo)
    ]
    return found[0] if found else parameter.default


def _word(parameter: inspect.Parameter) -> str:
    name = str(_info(parameter).metavar or parameter.name).upper()
    name += "..." if "list" in _type(parameter) else ""
    return name if parameter.default is inspect.Parameter.empty else f"[{name}]"


def _row(parameter: inspect.Parameter) -> str:
    info = _info(parameter)
    if isinstance(info, ArgumentInfo):
        flags = _word(parameter)
    else:
        names = [
            str(name)
            for name in (info.default, *(info.param_decls or ()))
            if str(name).startswith("-")
        ]
        names = names or [f"--{parameter.name.replace('_', '-')}"]
        flags = ", ".join(names) + ("" if _type(parameter) == "bool" else f" {_takes(parameter)}")
    known = (
        parameter.default if parameter.default not in (None, False, inspect.Parameter.empty) else ""
    )
    shown = f"`{getattr(known, 'value', known)}`" if known != "" else ""
    text = (info.help or "").replace("|", "\\|")
    return f"| `{flags}` | {text} | {shown} |".replace("`` ", "")


def _type(parameter: inspect.Parameter) -> str:
    kind = typing.get_args(parameter.annotation)[0]
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _takes(parameter: inspect.Parameter) -> str:
    kind = typing.get_args(parameter.annotation)[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "/".join(str(member.value) for member in kind)
    metavar = _info(parameter).metavar
    if metavar:
        return metavar
    words = {"int": "WHOLE NUMBER", "float": "NUMBER", "Path": "PATH"}
    return next((word for name, word in words.items() if name in _type(parameter)), "TEXT")
