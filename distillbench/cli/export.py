"""`distillbench export`: a stored run's network as a file that serves without us."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[str, typer.Argument(help="A run's key, the beginning of it, or its file.")],
    to: Annotated[
        str,
        typer.Option("--to", help="The exporter; distillbench plugins lists them.", metavar="NAME"),
    ],
    out: Annotated[Path, typer.Option("--out", help="The file to write.", metavar="FILE")],
    results: Annotated[
        list[Path] | None, typer.Option(help="Folders of results.", show_default="results")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A knob of the exporter: exporter.KNOB=VALUE.")
    ] = None,
    tolerance: Annotated[float, typer.Option(help="By how much a logit may differ.")] = 1e-4,
) -> None:
    """Write a stored network as one file, and keep it only if what is read back scores test videos alike."""
    from distillbench.cli.render import rows
    from distillbench.cli.render.terminal import echo
    from distillbench.config.layers import flags
    from distillbench.errors import ConfigError
    from distillbench.experiments.export import export as written
    from distillbench.registry.discovery import discover

    given = flags({}, settings or []).settings
    strange = [name for name in given if not name.startswith("exporter.")]
    if strange:
        raise ConfigError(
            [f"--set takes exporter.KNOB=VALUE here; found '{name}'" for name in strange]
        )
    knobs = {name.removeprefix("exporter."): value for name, value in given.items()}
    registry = discover()
    found = written(
        rows.find(run, results, registry), registry, to, out, knobs=knobs, tolerance=tolerance
    )
    echo(
        f"{found.path}: logits of {found.videos} test videos differ by at most {found.difference:.3g}"
    )
