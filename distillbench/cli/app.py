"""The tree of commands.

Each command imports what it needs when it runs, so that --help is instant.
"""

from __future__ import annotations

import inspect
import os

import typer
from rich.markup import escape

from distillbench.cli.check import check
from distillbench.cli.compare import compare
from distillbench.cli.data import data
from distillbench.cli.demo import demo
from distillbench.cli.export import export
from distillbench.cli.extract import extract
from distillbench.cli.leaderboard import leaderboard
from distillbench.cli.new import new
from distillbench.cli.page import page, serve
from distillbench.cli.plugins import plugins
from distillbench.cli.predict import predict
from distillbench.cli.publish import publish
from distillbench.cli.quantize import quantize
from distillbench.cli.report import report
from distillbench.cli.reproduce import reproduce
from distillbench.cli.run import run
from distillbench.cli.score import score
from distillbench.cli.show import show
from distillbench.cli.sweep import sweep
from distillbench.cli.tune import tune
from distillbench.errors import ConfigError

app = typer.Typer(
    name="distillbench",
    help=(
        "Compare distillation methods for efficient video classification. "
        "Add --traceback to see where an error comes from."
    ),
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    demo,
    run,
    sweep,
    tune,
    leaderboard,
    page,
    serve,
    compare,
    report,
    show,
    reproduce,
    quantize,
    export,
    publish,
    plugins,
    check,
    new,
    score,
    extract,
    predict,
):
    # Typer renders help texts as rich markup: unescaped, `[[grid]]` would be read as a style.
    app.command(help=escape(inspect.getdoc(command) or ""))(command)
app.add_typer(data, name="data")


def _show_overview(context: typer.Context) -> None:
    """Prints all commands, and which to try first."""
    context.get_help()  # prints the help as it formats it
    typer.echo(_FIRST_STEPS)
    raise typer.Exit


_FIRST_STEPS = """\
First steps, on built-in data:
  distillbench demo             train three networks, and see their board and their page
  distillbench run --k 15       train a teacher, and a student that sees 15 frames of each video
  distillbench leaderboard      compare their quality and cost
  distillbench plugins          list what else can be chosen"""


def _print_version(requested: bool) -> None:
    if requested:
        from distillbench import __version__

        typer.echo(f"distillbench {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Compare distillation methods for efficient video classification."""
    if context.invoked_subcommand is None:
        _show_overview(context)
    # The environment is looked at first because importing torch would delay --help.
    if context.invoked_subcommand != "run" and "WORLD_SIZE" in os.environ:
        _refuse_several_processes(str(context.invoked_subcommand))


def _refuse_several_processes(command: str) -> None:
    from distillbench.distributed.processes import launched

    if launched() == 1:
        return
    if os.environ["RANK"] != "0":  # only one of the processes prints the error
        raise typer.Exit(2)
    problem = (
        f"only distillbench run can be started by torchrun; found distillbench {command}. "
        "A sweep starts its own processes (--workers)"
    )
    raise ConfigError([problem])
