"""A data set that reads a folder of its own format: a line of JSON a video."""

import json
from pathlib import Path

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.errors import DataError
from distillbench.interfaces import Codec, DataSet, Labels, Splits, Videos


class _Lines(Videos):
    """The videos of one file."""

    def __init__(self, path: Path) -> None:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        self.ids = [row["id"] for row in rows]
        self.lengths = torch.tensor([len(row["frames"]) for row in rows])
        self.labels = Labels(
            torch.arange(len(rows) + 1), torch.tensor([row["class"] for row in rows]), 3
        )
        self.features, self.class_names, self.codec = {"numbers": 2}, None, Codec(normalise="none")
        self.fingerprint = path.read_text(encoding="utf-8")
        self._frames = torch.zeros(len(rows), int(self.lengths.max()), 2)
        for place, row in enumerate(rows):
            self._frames[place, : len(row["frames"])] = torch.tensor(row["frames"])

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Reads from memory."""
        read = self._frames[videos[:, None], frames.clamp_min(0)]
        read[frames < 0] = 0
        return read if out is None else out.copy_(read)


class OwnFormat(DataSet):
    """Reads train.jsonl, validation.jsonl and test.jsonl.

    Knobs:
        dir: the folder that they lie in.
    """

    def __init__(self, *, dir: str = "") -> None:
        self.dir = dir

    def splits(self) -> Splits:
        """Reads the three files."""
        paths = [Path(self.dir, f"{name}.jsonl") for name in ("train", "validation", "test")]
        missing = [str(path) for path in paths if not path.is_file()]
        if missing:
            raise DataError(f"there is no {missing[0]}")
        return Splits(*map(_Lines, paths))


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `own-format`."""
    return {"own-format": OwnFormat}
