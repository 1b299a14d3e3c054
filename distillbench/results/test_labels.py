"""Stores the labels of test videos beside the results.

Runs are then compared, and intervals computed, without opening the data set.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillbench.errors import ResultError
from distillbench.interfaces import Labels, Videos
from distillbench.storage import load_tensors, save_tensors

if TYPE_CHECKING:  # torch takes a second, and a board that is known needs no labels
    from torch import Tensor

_FOLDER = "labels"
_MOST_CLASSES = 2**31
_INTEGERS = ("torch.int64", "torch.int32", "torch.int16")


def keep(folder: Path, videos: Videos) -> None:
    """Stores a split's labels under its fingerprint, unless an undamaged file has them already."""
    try:
        there = find(folder, videos.fingerprint) is not None
    except ResultError:
        there = False
    if not there:
        labels = videos.labels
        tensors = {"offsets": labels.offsets, "classes": labels.classes}
        save_tensors(path_of(folder, videos.fingerprint), tensors, {"count": labels.count})


def find(folder: Path, fingerprint: str) -> Labels | None:
    """Returns the labels of the split with this fingerprint, in the split's order.

    None where they were not stored.

    Raises `ResultError` where the file is damaged.
    """
    path = path_of(folder, fingerprint)
    try:
        if not path.exists():
            return None
    except OSError:  # a fingerprint from a damaged result may be too long for a file name
        return None
    import torch

    tensors, about = load_tensors(path)
    problem = _problem(tensors, about)
    if problem:
        raise ResultError(f"'{path}': damaged labels: {problem}")
    return Labels(
        tensors["offsets"].to(torch.int64), tensors["classes"].to(torch.int64), about["count"]
    )


def _problem(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> str | None:
    """Returns what is wrong with a file of labels; None where it is as `Labels` requires."""
    count = about.get("count")
    if not isinstance(count, int) or not 0 < count < _MOST_CLASSES:
        return "the number of classes is missing or out of range"
    for name in ("offsets", "classes"):
        if (
            name not in tensors
            or str(tensors[name].dtype) not in _INTEGERS
            or tensors[name].dim() != 1
        ):
            return f"{name} are not a list of integers"
    offsets, classes = tensors["offsets"], tensors["classes"]
    if (
        not len(offsets)
        or offsets[0] != 0
        or offsets[-1] != len(classes)
        or (offsets[1:] < offsets[:-1]).any()
    ):
        return "offsets do not rise from 0 to the number of labels"
    if len(classes) and not 0 <= int(classes.min()) <= int(classes.max()) < count:
        return "classes are out of range"
    return None


def path_of(folder: Path, fingerprint: str) -> Path:
    """Names the file where the labels of the split with this fingerprint are stored."""
    return folder / _FOLDER / f"{fingerprint}.safetensors"
