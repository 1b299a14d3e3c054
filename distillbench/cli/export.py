"""`distillbench export`: writes a stored network to a file that runs without distillbench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[
        str, typer.Argument(help="The run: its key, the beginning of its key, or its result file.")
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to", help="The exporter to use; distillbench plugins lists them.", metavar="NAME"
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The file to write.", metavar="FILE")],
    results: Annotated[
        list[Path] | None, typer.Option(help="Folders of results.", show_default="results")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A knob of the exporter: exporter.KNOB=VALUE. May be repeated."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Largest accepted difference of a logit.")
    ] = 1e-4,
) -> None:
    """Export a stored network to a file, and check that file.

    The file is read back and applied to test videos. It is kept only if no logit differs by more
    than the tolerance.
    """
    from distillbench.cli.render import rows
    from distillbench.cli.render.terminal import echo
    from distillbench.config.layers import flags
    from distillbench.errors import ConfigError
    from distillbench.experiments.export import export as export_network
    from distillbench.registry.discovery import discover

    given = flags({}, settings or []).settings
    problems = [
        f"--set takes exporter.KNOB=VALUE here; found '{name}'"
        for name in given
        if not name.startswith("exporter.")
    ]
    if problems:
        raise ConfigError(problems)
    knobs = {name.removeprefix("exporter."): value for name, value in given.items()}
    registry = discover()
    result = rows.find(run, results, registry)
    exported = export_network(result, registry, to, out, knobs=knobs, tolerance=tolerance)
    difference = f"differ by at most {exported.difference:.3g}"
    echo(f"{exported.path}: logits of {exported.videos} test videos {difference}")
