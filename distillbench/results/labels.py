"""The labels of test videos, kept once a data set beside the results, so that runs are compared without the data."""

from __future__ import annotations

from pathlib import Path

import torch

from distillbench.errors import ResultError
from distillbench.interfaces import Labels, Videos
from distillbench.storage import load_tensors, save_tensors

_FOLDER = "labels"


def keep(folder: Path, videos: Videos) -> None:
    """Stores a split's labels under its fingerprint, unless they are there."""
    path = _path(folder, videos.fingerprint)
    if not path.is_file():
        labels = videos.labels
        save_tensors(path, {"offsets": labels.offsets, "classes": labels.classes}, {"count": labels.count})


def find(folder: Path, fingerprint: str) -> Labels | None:
    """Returns the labels of the split of that fingerprint, in its order; None where they were not kept."""
    try:
        tensors, about = load_tensors(_path(folder, fingerprint))
    except ResultError:
        return None
    return Labels(tensors["offsets"].to(torch.int64), tensors["classes"].to(torch.int64), int(about["count"]))


def _path(folder: Path, fingerprint: str) -> Path:
    return folder / _FOLDER / f"{fingerprint}.safetensors"
