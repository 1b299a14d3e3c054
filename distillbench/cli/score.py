"""`distillbench score`: the metrics of anyone's predictions."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from distillbench.cli.leaderboard import Format


class Kind(StrEnum):
    """The kinds of labels."""

    multi = "multi-label"
    single = "single-label"


def score(
    predictions: Annotated[
        Path, typer.Argument(help="Scores: .parquet, .npz (ids, scores) or Kaggle's .csv.")
    ],
    labels: Annotated[Path, typer.Argument(help="Labels: .parquet, .npz (ids, labels) or .csv.")],
    label_kind: Annotated[
        Kind | None,
        typer.Option(
            help="How many labels a video has.", show_default="single-label if each has one"
        ),
    ] = None,
    format: Annotated[Format, typer.Option(help="How it is printed.")] = Format.table,
) -> None:
    """Print every metric of anyone's predictions.

    Scores are ranked, so probabilities do as well as logits, except for a calibration error, which
    takes the softmax of logits.
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
