"""The tree of commands; what a command needs is imported when it runs, so that --help is instant."""

from __future__ import annotations

import inspect
import os

import typer
from rich.markup import escape

from distillbench.cli.check import check
from distillbench.cli.compare import compare
from distillbench.cli.data import data
from distillbench.cli.export import export
from distillbench.cli.leaderboard import leaderboard
from distillbench.cli.new import new
from distillbench.cli.plugins import plugins
from distillbench.cli.quantize import quantize
from distillbench.cli.report import report
from distillbench.cli.reproduce import reproduce
from distillbench.cli.run import run
from distillbench.cli.score import score
from distillbench.cli.show import show
from distillbench.cli.sweep import sweep
from distillbench.errors import ConfigError

app = typer.Typer(
    name="distillbench",
    help="Compare distillation methods for efficient video classification. Any error: --traceback shows where.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    run,
    sweep,
    leaderboard,
    compare,
    report,
    show,
    reproduce,
    quantize,
    export,
    plugins,
    check,
    new,
    score,
):
    # Help texts are rich's markup: without the escape `[[grid]]` would be taken for a style and left out.
    app.command(help=escape(inspect.getdoc(command) or ""))(command)
app.add_typer(data, name="data")


def _begin(context: typer.Context) -> None:
    """Shows all commands, and which to try first."""
    context.get_help()
    typer.echo(_FIRST)
    raise typer.Exit


_FIRST = """\
To begin, on the built-in data:
  distillbench run --schedule teacher                               trains a teacher (under a minute)
  distillbench run --schedule serial --selector uniform --k 15      trains a student to imitate it
  distillbench leaderboard                                          puts quality beside cost"""


def _version(asked: bool) -> None:
    if asked:
        from distillbench import __version__

        typer.echo(f"distillbench {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Compare distillation methods for efficient video classification."""
    if context.invoked_subcommand is None:
        _begin(context)
    if (
        context.invoked_subcommand != "run" and "WORLD_SIZE" in os.environ
    ):  # importing torch would delay --help
        _refuse_several_processes(str(context.invoked_subcommand))


def _refuse_several_processes(command: str) -> None:
    from distillbench.distributed.processes import launched

    if launched() == 1:
        return
    if os.environ["RANK"] != "0":
        raise typer.Exit(2)
    raise ConfigError(
        [
            f"torchrun starts several processes for distillbench run alone, and this is distillbench {command}; "
            "a sweep starts processes of its own (--workers)"
        ]
    )
