"""`distillbench quantize`: evaluates a stored network quantized to 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def quantize(
    run: Annotated[
        str, typer.Argument(help="The run: its key, the beginning of its key, or its result file.")
    ],
    results: Annotated[
        list[Path] | None, typer.Option(help="Folders of results.", show_default="results")
    ] = None,
) -> None:
    """Evaluate a stored network quantized to 8 bits, and store it as a separate result.

    Quantization is PyTorch's dynamic quantization on the CPU. The leaderboard then lists the
    quantized network beside the original.
    """
    from distillbench.analysis.rows import frame
    from distillbench.cli.render import rows, table
    from distillbench.cli.render.progress import progress
    from distillbench.cli.render.terminal import echo
    from distillbench.experiments.quantize import quantize as quantize_result
    from distillbench.registry.discovery import discover

    registry = discover()
    result = rows.find(run, results, registry)
    with progress(result.metrics) as observer:
        quantized = quantize_result(result, registry, observer)
    table.show(frame([result, quantized]), "table")
    echo(str(quantized.path))
