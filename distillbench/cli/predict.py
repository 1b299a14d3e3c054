"""`distillbench predict`: classifies video files with a trained network."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Form(StrEnum):
    """How predictions are printed."""

    table = "table"
    json = "json"


def predict(
    run: Annotated[
        str, typer.Argument(help="The run: its key, the beginning of its key, or its result file.")
    ],
    videos: Annotated[
        list[Path],
        typer.Argument(help="Video files, .npy files of features, or folders that hold some."),
    ],
    top: Annotated[int, typer.Option(help="Classes that are printed of each video.", min=1)] = 5,
    format: Annotated[Form, typer.Option(help="Output format.")] = Form.table,
    results: Annotated[
        list[Path] | None, typer.Option(help="Folders of results.", show_default="results")
    ] = None,
) -> None:
    """Classify videos with a stored network, and print the time for decoding and computing.

    The network's selector chooses frames, and only those are decoded and encoded, by the backbone
    that the features of the run's data were extracted with. Files that cannot be used are listed;
    the exit code is then 1.
    """
    from distillbench import api
    from distillbench.cli.render import predictions
    from distillbench.cli.render.terminal import complain

    made = api.predictor(run, results or "results", warn=complain)
    show = predictions.as_json if format is Form.json else predictions.as_text
    if show(made.classify(videos), made.class_names, top):
        raise typer.Exit(1)
