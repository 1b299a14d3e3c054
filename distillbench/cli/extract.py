"""`distillbench extract`: makes features of video files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from distillbench.cli.options import Device


class Stored(StrEnum):
    """The type that features are stored in."""

    half = "float16"
    single = "float32"


def extract(
    videos: Annotated[
        list[Path], typer.Argument(help="Video files, or folders that hold some at any depth.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the features.", metavar="FOLDER")],
    fps: Annotated[float, typer.Option(help="Frames a second.")] = 1.0,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Backbone that encodes frames; its knobs are set by --set backbone.KNOB=VALUE.",
            show_default="the one that says it is",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A knob of the backbone: backbone.KNOB=VALUE. May be repeated."),
    ] = None,
    stored: Annotated[Stored, typer.Option(help="Type that features are stored in.")] = Stored.half,
    workers: Annotated[
        str,
        typer.Option(help="Processes; auto is one per core, or one for a GPU. 1 starts none."),
    ] = "auto",
    device: Device = "auto",
) -> None:
    """Make features of video files: a folder with one .npy file per video, for training.

    An array has one row for each frame that is on screen at 0, 1, 2, ... seconds. The folder also
    says how they were made, so that predict does the same. The same command goes on where it was
    stopped, and makes what is new. Files that cannot be used are listed; the exit code is then 1.
    """
    from distillbench.cli.render import extracting
    from distillbench.config.layers import section
    from distillbench.experiments.context import find_device
    from distillbench.registry.discovery import discover
    from distillbench.video.backbone import usual_backbone
    from distillbench.video.extract import request, workers_of
    from distillbench.video.extraction import Extraction

    on, registry = find_device(device), discover()
    knobs = section("backbone", settings or [])
    name = backbone or usual_backbone(registry)
    extraction = Extraction.requested(registry, name, knobs, fps, stored.value)
    count = workers_of(workers, on)
    if extracting.make(request(videos, out, extraction, registry), count, on):
        raise typer.Exit(1)
