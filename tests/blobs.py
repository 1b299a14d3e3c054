"""A made-up data set of one class a video, which every network can learn in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from distillbench.interfaces import Codec, DataSet, Labels, Splits, Videos

CLASSES = 4


class Blobs(Videos):
    """Videos of five frames, each of one class, which a look of its own shows."""

    codec = Codec(normalise="none")
    class_names = None

    def __init__(self, name: str, count: int) -> None:
        self.ids = [f"{name} {number}" for number in range(count)]
        self.lengths = torch.full((count,), 5)
        drawn = torch.Generator().manual_seed(count)
        self._of = torch.randint(CLASSES, (count,), generator=drawn)
        self.labels = Labels(torch.arange(count + 1), self._of, CLASSES)
        self.features = {"rgb": 8}
        self.fingerprint = f"blobs-{name}"
        self._frames = (
            torch.randn(count, 5, 8, generator=drawn) + torch.eye(CLASSES, 8)[self._of][:, None]
        )

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        read = self._frames[videos[:, None], frames.clamp_min(0)] * (frames >= 0)[:, :, None]
        return read if out is None else out.copy_(read)


def dataset(
    label_kind: str, metrics: Sequence[str] = (), sizes: tuple[int, int, int] = (60, 40, 50)
) -> type[DataSet]:
    """Makes a data set of blobs, with so many videos for training, validation and testing."""

    def splits(self: DataSet) -> Splits:
        return Splits(*map(Blobs, ("train", "validation", "test"), sizes))

    parts = {
        "label_kind": label_kind,
        "metrics": tuple(metrics),
        "splits": splits,
        "__doc__": "Blobs.",
    }
    made: Any = type(DataSet)("MadeUp", (DataSet,), parts)
    return made  # type: ignore[no-any-return]
