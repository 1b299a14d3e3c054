"""The command line: one module per command, and the one place that turns errors into messages."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from distillbench.errors import DistillbenchError, Interrupted
from distillbench.urls import SECRET, find_secret

_TRACEBACK = "--traceback"
_UNEXPECTED = f"This is an error in distillbench or in a plugin; {_TRACEBACK} shows where."
_INTERRUPTED = 130


def main() -> None:
    """Runs the command line.

    The exit code is 2 for an error that the user can correct.
    It is 1 for a failed check and for an unexpected error.
    It is 130 if the user stopped the command.
    With `--traceback` anywhere on the line, an error is raised instead of explained.
    """
    from distillbench.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Tables contain signs such as `±`, which an ASCII output would refuse with an error.
            stream.reconfigure(errors="replace")
    arguments = [argument for argument in sys.argv[1:] if argument != _TRACEBACK]
    show_traceback = len(arguments) < len(sys.argv) - 1
    if any(map(find_secret, arguments)):
        _print_problems([SECRET])  # before anything could print or store it
        sys.exit(2)
    try:
        code = app(args=arguments, prog_name="distillbench", standalone_mode=False)
    except Interrupted as stopped:
        sys.exit(_report_stop(str(stopped)))
    except BrokenPipeError:
        # Python flushes stdout once more at exit, which would fail again on the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if show_traceback:
            raise
        sys.exit(_explain(error))
    if code == _INTERRUPTED:  # typer returns this code for Ctrl-C and raises nothing
        _report_stop("stopped; the same command continues from the last checkpoint")
    sys.exit(code if isinstance(code, int) else 0)


def _report_stop(text: str) -> int:
    """Prints what the user stopped, and returns the exit code."""
    from distillbench.cli.render.terminal import echo

    echo(f"\n{text}", err=True)
    return _INTERRUPTED


def _explain(error: Exception) -> int:
    """Prints what went wrong, and returns the exit code."""
    # Only the exceptions of the command line's parser have this method. Typer may bundle its own
    # copy of click, so its exception classes cannot be named here.
    usage = getattr(error, "format_message", None)
    if usage is not None:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "distillbench"
        _print_problems([usage()], f"{command} --help lists its arguments and options")
        return 2
    if isinstance(error, DistillbenchError):
        _print_problems(getattr(error, "problems", (str(error),)))
        return 2
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        _print_problems([f"the output of the command cannot be written: {error.strerror}"])
        return 2
    _print_problems([f"unexpected {type(error).__name__}: {error}"], _UNEXPECTED)
    return 1


def _print_problems(problems: Sequence[str], hint: str = "") -> None:
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
