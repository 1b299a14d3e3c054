"""The tree of commands; what a command needs is imported when it runs, so that --help is instant."""

from __future__ import annotations

import typer

from distillbench.cli.data import data
from distillbench.cli.leaderboard import leaderboard
from distillbench.cli.plugins import plugins
from distillbench.cli.run import run
from distillbench.cli.score import score

app = typer.Typer(
    name="distillbench",
    help="Compare distillation methods for efficient video classification. Any error: --traceback shows where.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run)
app.command()(leaderboard)
app.command()(plugins)
app.command()(score)
app.add_typer(data, name="data")


def _version(asked: bool) -> None:
    if asked:
        from distillbench import __version__

        typer.echo(f"distillbench {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Compare distillation methods for efficient video classification."""
