"""The command line: one small module a command, and the one place where errors become messages."""

from __future__ import annotations

import sys

from distillbench.errors import DistillbenchError, Interrupted

_TRACEBACK = "--traceback"
_OURS = f"This is a fault of distillbench or of a plugin; {_TRACEBACK} shows where."


def main() -> None:
    """Runs the command line.

    Exits with 2 where the user can mend what is wrong, 1 where a check failed or the fault is ours, 130 where the user
    stopped it. `--traceback`, anywhere, shows where an error comes from.
    """
    from distillbench.cli.app import app

    arguments = [argument for argument in sys.argv[1:] if argument != _TRACEBACK]
    show_traceback = len(arguments) < len(sys.argv) - 1
    try:
        app(args=arguments, prog_name="distillbench")
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the last checkpoint", file=sys.stderr)
        sys.exit(130)
    except Interrupted as stopped:
        print(f"\n{stopped}", file=sys.stderr)
        sys.exit(130)
    except DistillbenchError as error:
        if show_traceback:
            raise
        _complain(str(error))
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if show_traceback:
            raise
        _complain(f"unexpected {type(error).__name__}: {error}\n{_OURS}")
        sys.exit(1)


def _complain(text: str) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    lines = text.splitlines() or [""]
    if len(lines) == 1:
        console.print(f"[bold red]error:[/] {escape(lines[0])}")
        return
    console.print(f"[bold red]{len(lines)} problems:[/]" if all(lines) else "[bold red]error:[/]")
    for line in lines:
        console.print(f"  - {escape(line)}")
