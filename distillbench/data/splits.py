"""Which videos train, which choose the epoch and which are the test: by hash of the id, by list or by pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.data.cache import written_whole
from distillbench.data.ids import Ids
from distillbench.data.spill import spilled
from distillbench.errors import DataError
from distillbench.interfaces import Labels, Splits, Videos

NAMES = ("train", "validation", "test")
_FRACTION_SEED = 0x6E657374


class Subset(Videos):
    """Some videos of another split or data set, in the order given. skipped: what that left out, by reason."""

    def __init__(self, videos: Videos, which: Tensor) -> None:
        """which: (V,) int64, numbers of videos."""
        numbers = spilled(which.numpy())
        self._videos, self._which = videos, torch.from_numpy(numbers)
        self.ids = videos.ids.take(numbers) if isinstance(videos.ids, Ids) else [videos.ids[i] for i in numbers]
        self.lengths = torch.from_numpy(spilled(videos.lengths[which].numpy()))
        self.labels = _rows(videos.labels, which)
        self.skipped: Mapping[str, int] = getattr(videos, "skipped", {})
        self.features, self.codec, self.class_names = videos.features, videos.codec, videos.class_names
        self.fingerprint = blake2b(videos.fingerprint.encode() + numbers.tobytes(), digest_size=16).hexdigest()

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Reads frames of the videos these are taken from."""
        return self._videos.read(self._which[videos], frames, out)


def split_by_hash(
    ids: Sequence[str], validation_share: float, test_share: float, *, seed: int = 0, which: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Shares videos out by a hash of the id alone, so that a video stays where it is when others come or go.

    Returns the numbers of the videos of each split, ascending. which: only these videos are shared out.
    """
    if validation_share < 0 or test_share < 0 or validation_share + test_share >= 1:
        raise DataError(
            f"shares of {validation_share} (validation) and {test_share} (test) leave nothing to train on; "
            "they must be at least 0 and sum to less than 1"
        )
    chosen = torch.arange(len(ids)) if which is None else which
    place = _unit(ids, seed)[chosen.numpy()]
    test, held = place < test_share, place < test_share + validation_share
    return tuple(chosen[torch.from_numpy(part)] for part in (~held, held & ~test, test))  # type: ignore[return-value]


def nested_fraction(ids: Sequence[str], which: Tensor, fraction: float, *, seed: int = 0) -> Tensor:
    """Keeps about this fraction of the videos `which`; a smaller fraction is always part of a larger one."""
    if not 0 < fraction <= 1:
        raise DataError(f"a training fraction of {fraction} was asked for; it must be above 0 and at most 1")
    if fraction == 1:
        return which
    return which[torch.from_numpy(_unit(ids, seed ^ _FRACTION_SEED)[which.numpy()] < fraction)]


def splits_of(videos: Videos, train: Tensor, validation: Tensor, test: Tensor) -> Splits:
    """Makes the three splits of a data set; raises `DataError` where one is empty or two overlap."""
    parts = dict(zip(NAMES, (train, validation, test), strict=True))
    for name, part in parts.items():
        if not len(part):
            raise DataError(f"the {name} split has no video (of {len(videos)} in all): give more data or other shares")
    counts = torch.bincount(torch.cat(list(parts.values())), minlength=len(videos))
    if int(counts.max()) > 1:
        raise DataError(f"video {videos.ids[int(counts.argmax())]!r} is in more than one split")
    return Splits(*(Subset(videos, part) for part in parts.values()))


def save_ids(splits: Splits, folder: Path) -> None:
    """Writes `train.txt`, `validation.txt` and `test.txt`, an id a line, for `load_ids` and for other tools."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        with written_whole(folder / f"{name}.txt") as file:
            file.write("".join(f"{each}\n" for each in getattr(splits, name).ids).encode())


def load_ids(ids: Sequence[str], folder: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Finds the videos that the lists in `folder` name; raises `DataError` for an id that no video has."""
    numbers = {name: number for number, name in enumerate(ids)}
    found = []
    for split in NAMES:
        path = folder / f"{split}.txt"
        try:
            wanted = path.read_text("utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: this list of ids cannot be read: {error}") from error
        unknown = [each for each in wanted if each not in numbers]
        if unknown:
            raise DataError(f"{path}: {len(unknown)} of its {len(wanted)} ids are no video here, {unknown[0]!r} first")
        found.append(torch.tensor([numbers[each] for each in wanted], dtype=torch.int64))
    return found[0], found[1], found[2]


def _unit(ids: Sequence[str], seed: int) -> NDArray[np.float64]:
    """Places each id in [0, 1)."""
    known = ids if isinstance(ids, Ids) else Ids.of(ids)
    return (known.hashes(seed) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _rows(labels: Labels, which: Tensor) -> Labels:
    starts, ends = labels.offsets[which], labels.offsets[which + 1]
    counts = ends - starts
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    first = torch.repeat_interleave(starts - offsets[:-1], counts)
    classes = spilled(labels.classes[torch.arange(len(first)) + first].numpy())
    return Labels(torch.from_numpy(spilled(offsets.numpy())), torch.from_numpy(classes), labels.count)
