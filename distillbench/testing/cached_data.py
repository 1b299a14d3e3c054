"""Folders to check data sets with, and a cache apart from the user's."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distillbench.data import Recipe, write_synthetic
from distillbench.errors import DataError
from distillbench.interfaces import DataSet, Splits
from distillbench.registry.knobs import knobs_of
from distillbench.testing.promises import Subject, Unchecked, seeded
from distillbench.untrusted import reason_of

_VARIABLE = "DISTILLBENCH_CACHE"
_WIDTHS = (16, 8)


@functools.cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    # Removed when the process ends.
    return tempfile.TemporaryDirectory(prefix="distillbench-check-")


@contextmanager
def own_cache() -> Iterator[None]:
    """Keeps everything a data set caches in a temporary folder."""
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(Path(_scratch().name, "cache"))
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before


@functools.cache
def shards(features: str) -> str:
    """Writes two small shards whose frames have these lists (`rgb,audio`); returns their folder."""
    folder = Path(_scratch().name, "shards-" + features.replace(",", "-"))
    folder.mkdir()
    names = [name.strip() for name in features.split(",") if name.strip()]
    widths = {name: _WIDTHS[min(place, 1)] for place, name in enumerate(names)}
    write_synthetic(
        folder,
        Recipe(videos=60, widths=widths, classes=7, most_labels=3, shortest=1, longest=12),
        2,
    )
    return str(folder)


def with_data(subject: Subject, seed: int = 0) -> DataSet:
    """Builds a data set from its `check_knobs`; one with a knob `dir` gets a folder to read.

    That is the one it is to be checked with, or small shards where none is named.
    """
    knobs = {knob.name: knob.default for knob in knobs_of(subject.cls)} | dict(subject.check_knobs)
    given = {}
    if "dir" in knobs and subject.data_dir is not None:
        given["dir"] = subject.data_dir
    elif _reads_ours(subject):
        given["dir"] = shards(str(knobs.get("features") or "rgb,audio"))
    with seeded(seed):
        made: DataSet = subject.build(seed=seed, **given)
    return made


def opened(subject: Subject, dataset: DataSet) -> Splits:
    """Opens a data set that `with_data` built.

    Raises `Unchecked` where it cannot read our shards: its folders hold something else.
    """
    try:
        return dataset.splits()
    except (DataError, OSError) as error:
        if not _reads_ours(subject):
            raise
        raise Unchecked(
            "it reads no shards in YouTube-8M's layout, so this needs --data-dir with a folder"
            f" that it does read; shown shards it raised {reason_of(error)}"
        ) from error


def _reads_ours(subject: Subject) -> bool:
    """Tells whether it has a knob `dir` for which nobody named a folder."""
    has_dir = any(knob.name == "dir" for knob in knobs_of(subject.cls))
    return has_dir and subject.data_dir is None and not subject.check_knobs.get("dir")
