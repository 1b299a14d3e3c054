"""`distillbench score`: the metrics of anyone's predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillbench.cli.leaderboard import Format


def score(
    predictions: Annotated[Path, typer.Argument(help="Scores: .parquet, .npz (ids, scores) or Kaggle's .csv.")],
    labels: Annotated[Path, typer.Argument(help="Labels: .parquet, .npz (ids, labels) or .csv.")],
    format: Annotated[Format, typer.Option(help="How it is printed.")] = Format.table,
) -> None:
    """Print GAP@20, mAP@20, mAP, Hit@1 and PERR of anyone's predictions."""
    from distillbench.cli import scores
    from distillbench.cli.terminal import echo
    from distillbench.evaluation.scoring import score_files

    echo(scores.render(score_files(predictions, labels), format.value), end="")
