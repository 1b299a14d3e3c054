"""`distillbench score`: computes the metrics of predictions from any source."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from distillbench.cli.leaderboard import Format


class Kind(StrEnum):
    """How many labels a video has: any number, or exactly one."""

    multi = "multi-label"
    single = "single-label"


def score(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="File of scores: .parquet, .npz (ids, scores) or .csv in Kaggle's format."
        ),
    ],
    labels: Annotated[
        Path, typer.Argument(help="File of labels: .parquet, .npz (ids, labels) or .csv.")
    ],
    label_kind: Annotated[
        Kind | None,
        typer.Option(
            help="Kind of labels.", show_default="single-label if every video has one label"
        ),
    ] = None,
    format: Annotated[Format, typer.Option(help="Output format.")] = Format.table,
) -> None:
    """Print every metric of the predictions of any program.

    Scores may be logits or probabilities: most metrics use only their order. The calibration
    error is the exception: it needs logits, of which it takes the softmax.
    """
    from distillbench.cli.render import scores
    from distillbench.cli.render.terminal import echo
    from distillbench.evaluation.score_files import score_files
    from distillbench.registry.discovery import discover

    kind: Any = None if label_kind is None else label_kind.value
    found = score_files(
        predictions, labels, discover(), kind, warn=lambda text: echo(text, err=True)
    )
    echo(scores.render(found, format.value), end="")
