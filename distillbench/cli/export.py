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
        float,
        typer.Option(help="Largest accepted difference of a logit, of formats in 32 bits."),
    ] = 1e-4,
    max_loss: Annotated[
        float,
        typer.Option(help="By how much the data's first metric may be worse on the test split."),
    ] = 0.01,
    row: Annotated[
        bool,
        typer.Option("--row", help="Also store how the file does, as a row of its own."),
    ] = False,
) -> None:
    """Export a stored network to a file, and check that file.

    The file is read back and applied to test videos. It is kept only if no logit differs by more
    than the tolerance, and if the data's first metric is as good on the test split. How to use it
    is written beside it.
    """
    from distillbench.analysis.rows import frame
    from distillbench.cli.render import rows, table
    from distillbench.cli.render.display import deployment
    from distillbench.cli.render.progress import progress
    from distillbench.cli.render.terminal import echo
    from distillbench.config.layers import section
    from distillbench.experiments.export import Limits
    from distillbench.experiments.export import export as export_network
    from distillbench.registry.discovery import discover

    knobs = section("exporter", settings or [])
    registry = discover()
    result = rows.find(run, results, registry)
    limits = Limits(tolerance, max_loss)
    with progress(result.metrics) as observer:
        exported = export_network(
            result, registry, to, out, knobs=knobs, limits=limits, keep_row=row, observer=observer
        )
    difference = f"differ by at most {exported.difference:.3g}"
    echo(f"{exported.path}: logits of {exported.videos} test videos {difference}")
    if exported.row is not None:
        table.show(frame([result, exported.row]), "table")
        echo(deployment(exported.row.record))
    if exported.readme is not None:
        echo(f"{exported.readme}: how to use it")
    if exported.row is not None and row:
        echo(str(exported.row.path))
