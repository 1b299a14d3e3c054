"""A result on disk: one JSON file, beside it the student's weights and every test video's best predictions."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from distillbench.errors import ResultError
from distillbench.interfaces import Metric, Predictions
from distillbench.metrics import predictions as stored
from distillbench.plain import MisfitError
from distillbench.results import format1, schema
from distillbench.storage import check_writable, remove_drafts, save_tensors, write_text

FORMAT = 2
"""Grows whenever an older reader would misread a newer file."""


@dataclass(frozen=True)
class Result:
    """One row: the file it came from and what is in it, as the newest format has it.

    metrics: those that are installed, by name: what reads its predictions and titles its numbers.
    """

    path: Path
    content: Mapping[str, Any]
    metrics: Mapping[str, Metric] = field(default_factory=dict, compare=False, repr=False)

    @property
    def id(self) -> str:
        """The key of the run's question."""
        return str(self.content["id"])

    def student_path(self) -> Path:
        """The file with the evaluated network's weights."""
        return self.path.parent / str(self.content["files"]["network"])

    def predictions(self) -> Predictions:
        """Loads every test video's best 20 predictions; raises `ResultError` where they are missing or damaged."""
        path = self.path.parent / str(self.content["files"]["predictions"])
        found = stored.load(path)
        videos = self.content["metrics"].get("videos", len(found))
        if len(found) != videos or not found.class_positives.any():
            raise ResultError(f"'{path}' does not hold the predictions of the {videos} test videos of run {self.id}")
        return found


def check_place(folder: Path) -> None:
    """Raises `ResultError` where a folder cannot take results; makes nothing where it is not there yet."""
    if folder.is_dir():
        check_writable(folder)
        return
    first = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not first.is_dir() or not os.access(first, os.W_OK):
        raise ResultError(f"'{folder}' cannot be written: '{first}' is no folder that takes files")


def prepare(folder: Path) -> None:
    """Makes a folder ready to take results, and removes what writers that were killed left in it and below.

    Raises `ResultError`, before anything is trained, where it cannot be written to.
    """
    check_writable(folder)
    signals = (folder / "teachers" / "signals").glob("*")
    for place in (folder, *(folder / name for name in ("teachers", "checkpoints", "labels", "failures")), *signals):
        remove_drafts(place)


def write(
    folder: Path,
    content: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    predictions: Predictions,
    metrics: Mapping[str, Metric] | None = None,
) -> Result:
    """Writes a result so that a reader finds the old one or the new one, never a mixture.

    The JSON file names the other two, whose names are new every time, and is replaced last.
    """
    path = folder / f"{content['id']}.json"
    before = _siblings(path)
    stem = f"{content['id']}.{uuid.uuid4().hex[:8]}"
    files = {"network": f"{stem}.network.safetensors", "predictions": f"{stem}.predictions.safetensors"}
    try:
        save_tensors(folder / files["network"], weights, {"id": content["id"]})
        stored.save(predictions, folder / files["predictions"])
        whole = {"format": FORMAT, **content, "files": files}
        write_text(path, json.dumps(whole, indent=1, allow_nan=False) + "\n")
    except (ResultError, ValueError):
        for name in files.values():
            (folder / name).unlink(missing_ok=True)
        raise
    for name in before:
        (folder / name).unlink(missing_ok=True)
    return Result(path, whole, metrics or {})


def read(path: Path, metrics: Mapping[str, Metric] | None = None) -> Result:
    """Reads one result; raises `ResultError` that says what is wrong where it is damaged or of a newer format.

    metrics: those that are installed, by name; without them its numbers have no titles and no intervals.
    """
    try:
        content = schema.parsed(path)
    except (OSError, ValueError) as error:
        raise ResultError(f"'{path}' is no readable result: {getattr(error, 'strerror', None) or error}") from error
    version = content.get("format") if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise ResultError(f"'{path}' is no result: it has no format number")
    if version > FORMAT:
        raise ResultError(f"'{path}' has format {version}; this distillbench reads up to {FORMAT}: install a newer one")
    if version == 1:
        content = format1.upgraded(content)
    try:
        schema.result(content)
    except MisfitError as error:
        raise ResultError(f"'{path}' is not a valid result: {error}") from error
    return Result(path, content, metrics or {})


def _siblings(path: Path) -> list[str]:
    try:
        return [str(name) for name in read(path).content["files"].values()]
    except ResultError:
        return []
