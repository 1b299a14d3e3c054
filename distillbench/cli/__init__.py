"""The command line: one small module a command, and the one place where errors become messages."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from distillbench.errors import ConfigError, DistillbenchError, Interrupted

_TRACEBACK = "--traceback"
_OURS = f"This is a fault of distillbench or of a plugin; {_TRACEBACK} shows where."
_INTERRUPTED = 130


def main() -> None:
    """Runs the command line.

    Exits with 2 where the user can mend what is wrong, 1 where a check failed or the fault is ours, 130 where the user
    stopped it. `--traceback`, anywhere, shows where an error comes from.
    """
    from distillbench.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # `±` must not end a command whose output is ASCII
            stream.reconfigure(errors="replace")
    arguments = [argument for argument in sys.argv[1:] if argument != _TRACEBACK]
    show_traceback = len(arguments) < len(sys.argv) - 1
    try:
        code = app(args=arguments, prog_name="distillbench", standalone_mode=False)
    except Interrupted as stopped:
        sys.exit(_stopped(str(stopped)))
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # what is left in the buffer goes nowhere
        sys.exit(0)
    except Exception as error:
        if show_traceback:
            raise
        sys.exit(_explained(error))
    if code == _INTERRUPTED:
        _stopped("stopped; the same command goes on from the last checkpoint")
    sys.exit(code if isinstance(code, int) else 0)


def _stopped(text: str) -> int:
    """Says what the user stopped; returns the exit code."""
    from distillbench.cli.render.terminal import echo

    echo(f"\n{text}", err=True)
    return _INTERRUPTED


def _explained(error: Exception) -> int:
    """Says what went wrong; returns the exit code."""
    usage = getattr(error, "format_message", None)  # of the exceptions of the command line's parser
    if usage is not None:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "distillbench"
        _complain([usage()], f"{command} --help lists what it takes")
        return 2
    if isinstance(error, ConfigError):
        _complain(error.problems)
        return 2
    if isinstance(error, DistillbenchError):
        _complain([str(error)])
        return 2
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        _complain([f"what the command prints cannot be written: {error.strerror}"])
        return 2
    _complain([f"unexpected {type(error).__name__}: {error}"], _OURS)
    return 1


def _complain(problems: Sequence[str], hint: str = "") -> None:
    from distillbench.cli.render.escaping import one_line
    from distillbench.cli.render.terminal import TextConsole, styled

    out = TextConsole(stderr=True)
    if len(problems) == 1:
        out.print(styled("[bold red]error:[/] {}", one_line(problems[0])), soft_wrap=True)
    else:
        out.print(styled("[bold red]{} problems:[/]", len(problems)))
        for problem in problems:
            out.print(f"  - {one_line(problem)}", soft_wrap=True)
    if hint:
        out.print(hint, soft_wrap=True)
