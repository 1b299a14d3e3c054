"""A result on disk.

One JSON file; beside it the weights of the reported network and the best predictions of every
test video.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from distillbench.errors import ResultError
from distillbench.interfaces import Metric, Predictions
from distillbench.metrics import predictions as stored
from distillbench.plain_values import InvalidValueError
from distillbench.results import format1, parsing
from distillbench.storage import check_writable, remove_drafts, save_tensors, write_text

if TYPE_CHECKING:
    from torch import Tensor

    from distillbench.results.schema import StoredResult

FORMAT = 2
"""Grows whenever an older reader would misread a newer file."""


class Evaluated(Protocol):
    """What intervals are made of: a run's numbers, and its predictions of the test videos.

    seed: the run's. videos: the fingerprint of the test split. quality: its metrics by name.
    metrics: those that are installed, by name.
    """

    @property
    def path(self) -> Path:
        """The result's file."""

    @property
    def id(self) -> str:
        """The run's key."""

    @property
    def seed(self) -> int:
        """The run's seed."""

    @property
    def videos(self) -> str:
        """The fingerprint of the test split."""

    @property
    def quality(self) -> Mapping[str, float | None]:
        """Its metrics, by name."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics that are installed, by name."""

    def predictions(self) -> Predictions:
        """Loads its best predictions; raises `ResultError` where they are missing or damaged."""


@dataclass(frozen=True)
class Result:
    """The result of a run, and the file that it came from.

    content: the mapping that is stored, with fields that other versions added; it serves to show
    and to store it again, `record` to compute with.
    metrics: those that are installed, by name.
    """

    path: Path
    content: Mapping[str, Any] = field(repr=False)
    metrics: Mapping[str, Metric] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def record(self) -> StoredResult:
        """What is in the file, by its types; raises `InvalidValueError` where it is damaged."""
        return parsing.parse_result(self.content)

    @property
    def id(self) -> str:
        """The run's key."""
        return self.record.id

    def student_path(self) -> Path:
        """The file with the weights of the reported network."""
        return self.path.parent / self.record.files.network

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.record.setup.seed

    @property
    def finished(self) -> str:
        """When the run ended."""
        return self.record.finished

    @property
    def videos(self) -> str:
        """The fingerprint of the test split."""
        return self.record.data.fingerprints.test

    @property
    def quality(self) -> Mapping[str, float | None]:
        """Its metrics, by name."""
        return self.record.metrics

    def predictions(self) -> Predictions:
        """Loads the best 20 predictions of every test video.

        Raises `ResultError` where they are missing or damaged.
        """
        path = self.path.parent / self.record.files.predictions
        return load_predictions(path, self.id, self.record.metrics.get("videos"))


def load_predictions(path: Path, run: str, videos: float | None) -> Predictions:
    """Loads the best 20 predictions of every test video of a run.

    videos: how many the run was tested on; None where that is not known.

    Raises `ResultError` where they are missing, damaged, or of another number of videos.
    """
    found = stored.load(path)
    expected = len(found) if videos is None else videos
    if len(found) != expected or not found.class_positives.any():
        raise ResultError(
            f"'{path}' does not hold the predictions of the {expected} test videos of run {run}"
        )
    return found


_URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # a `Path` has one of its slashes left


def _check_is_no_url(folder: Path) -> None:
    if _URL.match(str(folder)):
        raise ResultError(
            f"'{folder}' is a URL: results, teachers and their outputs are mapped, locked and"
            " replaced as a whole, and need a folder; mount the bucket, and name its folder"
        )


def check_place(folder: Path) -> None:
    """Raises `ResultError` where results cannot be written to a folder; creates nothing."""
    _check_is_no_url(folder)
    if folder.is_dir():
        check_writable(folder)
        return
    first = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not first.is_dir() or not os.access(first, os.W_OK):
        raise ResultError(
            f"'{folder}' cannot be written: '{first}' is not a folder that files can be written to"
        )


def prepare(folder: Path) -> None:
    """Makes a folder ready to take results.

    Removes the drafts that killed processes left in it and below.


    Raises `ResultError`, before anything is trained, where it cannot be written to.
    """
    _check_is_no_url(folder)
    check_writable(folder)
    outputs = (folder / "teachers" / "signals").glob("*")
    for place in (
        folder,
        *(folder / name for name in ("teachers", "checkpoints", "labels", "failures")),
        *outputs,
    ):
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
    files = {
        "network": f"{stem}.network.safetensors",
        "predictions": f"{stem}.predictions.safetensors",
    }
    try:
        save_tensors(folder / files["network"], weights, {"id": content["id"]})
        stored.save(predictions, folder / files["predictions"])
        whole = json.loads(json.dumps({"format": FORMAT, **content, "files": files}))
        parsing.parse_result(whole)  # what cannot be read again is not written
        write_text(path, json.dumps(whole, indent=1, allow_nan=False) + "\n")
    except (ResultError, ValueError):
        for name in files.values():
            (folder / name).unlink(missing_ok=True)
        raise
    for name in before:
        (folder / name).unlink(missing_ok=True)
    return Result(path, whole, metrics or {})


def read(path: Path, metrics: Mapping[str, Metric] | None = None) -> Result:
    """Reads a result.

    Raises `ResultError` where it is damaged or of a newer format.

    metrics: those that are installed, by name; without them its numbers have no
    titles and no intervals.
    """
    try:
        content = parsing.plain_json(path)
    except (OSError, ValueError) as error:
        raise ResultError(
            f"'{path}' is not a readable result: {getattr(error, 'strerror', None) or error}"
        ) from error
    version = content.get("format") if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise ResultError(f"'{path}' is not a result: it has no format number")
    if version > FORMAT:
        raise ResultError(
            f"'{path}' has format {version}; this distillbench reads up to {FORMAT}: "
            "install a newer one"
        )
    if version == 1:
        content = format1.upgraded(content)
    result = Result(path, content, metrics or {})
    try:
        result.record  # noqa: B018 - reads the file's fields, which are not looked at again
    except InvalidValueError as error:
        raise ResultError(f"'{path}' is not a valid result: {error}") from error
    return result


def _siblings(path: Path) -> list[str]:
    try:
        files = read(path).record.files
    except ResultError:
        return []
    return [files.network, files.predictions]
