"""Features as float16 `.npy` files, one a video, of which chosen frames alone are read."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.errors import DataError
from distillbench.interfaces import Codec, DataSet, Labels, Splits, Videos


class Arrays(Videos):
    """The videos of one split: memory-mapped arrays (T, D)."""

    codec = Codec(normalise="none")
    class_names = None

    def __init__(self, folder: Path, rows: list[tuple[str, list[int]]], classes: int) -> None:
        self.ids = [name for name, _ in rows]
        self._arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in self.ids]
        self.lengths = torch.tensor([len(array) for array in self._arrays])
        counts = torch.tensor([0, *(len(labels) for _, labels in rows)])
        flat = torch.tensor([label for _, labels in rows for label in labels], dtype=torch.int64)
        self.labels = Labels(counts.cumsum(0), flat, classes)
        self.features = {"clip": int(self._arrays[0].shape[1])}
        told = repr([(row, array.shape) for row, array in zip(rows, self._arrays, strict=True)])
        self.fingerprint = hashlib.sha256(told.encode()).hexdigest()[:16]

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Reads the chosen rows of each array."""
        found = (
            torch.zeros(*frames.shape, self.width, dtype=torch.float16)
            if out is None
            else out.zero_()
        )
        for row, (video, chosen) in enumerate(zip(videos.tolist(), frames, strict=True)):
            kept = chosen[chosen >= 0]
            found[row, : len(kept)] = torch.from_numpy(self._arrays[video][kept.numpy()])
        return found


class NpyFolder(DataSet):
    """A folder of NAME.npy and labels.csv: id, split, labels separated by `;`.

    Knobs:
        dir: the folder.
    """

    def __init__(self, *, dir: str = "") -> None:
        self.folder = Path(dir)

    def splits(self) -> Splits:
        """Opens the arrays; raises `DataError` where the folder or an array is missing."""
        try:
            with (self.folder / "labels.csv").open(newline="", encoding="utf-8") as file:
                rows = [
                    (r["id"], r["split"], [int(n) for n in r["labels"].split(";")])
                    for r in csv.DictReader(file)
                ]
            classes = 1 + max(label for _, _, labels in rows for label in labels)
            parts = {
                name: [(i, labels) for i, s, labels in rows if s == name]
                for name in ("train", "validation", "test")
            }
            return Splits(*(Arrays(self.folder, part, classes) for part in parts.values()))
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise DataError(
                f"'{self.folder}' cannot be read as a folder of arrays: {error}"
            ) from error


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `npy-folder`."""
    return {"npy-folder": NpyFolder}
