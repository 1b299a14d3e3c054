"""Which videos train, which choose the epoch and which are the test.

By hash of the id, by list or by pattern.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.data.ids import Ids
from distillbench.data.memory.scratch_arrays import joined, running_sums, steps, taken
from distillbench.data.places import Place, opened_text
from distillbench.errors import DataError
from distillbench.interfaces import Labels, Splits, Videos
from distillbench.storage import written_whole

Three = tuple[Tensor, Tensor, Tensor]
"""Numbers of videos, of each split."""

NAMES = ("train", "validation", "test")
_FRACTION_SEED = 0x6E657374
_LOG = logging.getLogger(__name__)


class Subset(Videos):
    """Some videos of another split or data set, in the order given.

    skipped: what that left out, by reason.
    """

    def __init__(self, videos: Videos, which: Tensor) -> None:
        """which: (V,) int64, numbers of videos."""
        numbers = which.numpy()
        self._videos, self._which = videos, which
        self.ids = (
            videos.ids.take(numbers)
            if isinstance(videos.ids, Ids)
            else [videos.ids[i] for i in numbers]
        )
        self.lengths = torch.from_numpy(taken(videos.lengths.numpy(), numbers))
        self.labels = _rows(videos.labels, which)
        self.skipped: Mapping[str, int] = getattr(videos, "skipped", {})
        self.features, self.codec, self.class_names = (
            videos.features,
            videos.codec,
            videos.class_names,
        )
        self.sparse = videos.sparse
        digest = blake2b(videos.fingerprint.encode(), digest_size=16)
        digest.update(np.ascontiguousarray(numbers).data)
        self.fingerprint = digest.hexdigest()

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Reads frames of the videos these are taken from."""
        return self._videos.read(self._which[videos], frames, out)


def split_by_hash(
    ids: Sequence[str],
    validation_share: float,
    test_share: float,
    *,
    seed: int = 0,
    which: Tensor | None = None,
) -> Three:
    """Splits videos by a hash of the id alone.

    A video stays in its split when other videos come or go.

    Returns the numbers of the videos of each split, ascending.

    which: only these videos are shared out.
    """
    check_shares(validation_share, test_share)
    hashes, held = _hashes(ids, seed), test_share + validation_share
    bounds = ((held, 2.0), (test_share, held), (0.0, test_share))
    return tuple(_placed(hashes, low, high, which) for low, high in bounds)  # type: ignore[return-value]


def drawn_where_unnamed(
    ids: Sequence[str],
    own: Sequence[Tensor],
    named: Container[str],
    validation_share: float,
    test_share: float,
    *,
    seed: int = 0,
) -> Three:
    """Draws a split that the data does not name out of the training videos, by a hash of the id.

    own: the videos of each split as the data has them, ascending.
    named: the splits that the data names.
    """
    shared = split_by_hash(
        ids,
        0.0 if "validation" in named else validation_share,
        0.0 if "test" in named else test_share,
        seed=seed,
        which=own[0],
    )
    return shared[0], torch.cat([own[1], shared[1]]), torch.cat([own[2], shared[2]])


def check_shares(validation_share: float, test_share: float) -> None:
    """Raises `DataError` for shares that are none."""
    if not (validation_share >= 0 and test_share >= 0 and validation_share + test_share < 1):
        raise DataError(
            f"shares of {validation_share} (validation) and {test_share} (test) leave nothing to"
            " train on; they must be at least 0 and sum to less than 1"
        )


def check_fraction(fraction: float) -> None:
    """Raises `DataError` for a fraction of the training videos that is none."""
    if not 0 < fraction <= 1:
        raise DataError(
            f"a training fraction of {fraction} was requested; it must be above 0 and at most 1"
        )


def nested_fraction(ids: Sequence[str], which: Tensor, fraction: float, *, seed: int = 0) -> Tensor:
    """Keeps about this fraction of the videos `which`.

    A smaller fraction is always part of a larger one.
    """
    check_fraction(fraction)
    if fraction == 1:
        return which
    return _placed(_hashes(ids, seed ^ _FRACTION_SEED), 0.0, fraction, which)


def splits_of(videos: Videos, train: Tensor, validation: Tensor, test: Tensor) -> Splits:
    """Makes the three splits of a data set.

    Raises `DataError` where one is empty or two overlap.
    """
    parts = dict(zip(NAMES, (train, validation, test), strict=True))
    for name, part in parts.items():
        if not len(part):
            raise DataError(
                f"the {name} split has no video (of {len(videos)} in all): give more data or other"
                " shares"
            )
    seen = torch.zeros(len(videos), dtype=torch.uint8)
    for step in (part[step] for part in parts.values() for step in steps(len(part))):
        seen.index_add_(0, step, torch.ones(len(step), dtype=torch.uint8))
        if int(seen[step].max()) > 1:
            video = int(step[seen[step].argmax()])
            raise DataError(f"video {videos.ids[video]!r} is in more than one split")
    return Splits(*(Subset(videos, part) for part in parts.values()))


def warn_of_single_labels(train: Videos, other: str) -> None:
    """Warns where every training video has exactly one label of several classes.

    other: the name of the data set that reads the same as single-label data.
    """
    labels = train.labels
    if labels.count > 1 and bool((labels.offsets.diff() == 1).all()):
        _LOG.warning(
            "every training video has exactly one label: %s would train with losses and show"
            " metrics for one label a video",
            other,
        )


def require_one_label(videos: Videos) -> None:
    """Raises `DataError` where a video has no label or several."""
    other = (videos.labels.offsets.diff() != 1).nonzero().flatten()
    if len(other):
        first = int(other[0])
        count = int(videos.labels.offsets[first + 1] - videos.labels.offsets[first])
        raise DataError(
            f"{len(other):,} videos have not exactly one label, {videos.ids[first]!r} first, which"
            f" has {count}"
        )


def save_ids(splits: Splits, folder: Path) -> None:
    """Writes `train.txt`, `validation.txt` and `test.txt`, one id in each line.

    `load_ids` and other tools read them.

    Raises `DataError` where they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            with written_whole(folder / f"{name}.txt") as file:
                file.write("".join(f"{each}\n" for each in getattr(splits, name).ids).encode())
    except OSError as error:
        reason = (
            "a file is in the way"
            if isinstance(error, FileExistsError)
            else error.strerror or error
        )
        raise DataError(
            f"{folder}: the lists of ids cannot be written there ({reason}); name a folder that can"
            " be made or written to"
        ) from error


def load_ids(ids: Sequence[str], folder: Place) -> Three:
    """Finds the videos that the lists in `folder` name.

    Raises `DataError` for an id that no video has.
    """
    numbers = {name: number for number, name in enumerate(ids)}
    found = []
    for split in NAMES:
        path = folder / f"{split}.txt"
        try:
            with opened_text(path) as file:
                lines = file.read().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: this list of ids cannot be read: {error}") from error
        wanted = [line.strip() for line in lines if line.strip()]
        unknown = [each for each in wanted if each not in numbers]
        if unknown:
            raise DataError(
                f"{path}: {len(unknown)} of its {len(wanted)} ids are no video here, {unknown[0]!r}"
                " first"
            )
        found.append(torch.tensor([numbers[each] for each in wanted], dtype=torch.int64))
    return found[0], found[1], found[2]


def _hashes(ids: Sequence[str], seed: int) -> NDArray[np.uint64]:
    return (ids if isinstance(ids, Ids) else Ids.of(ids)).hashes(seed)


def _placed(hashes: NDArray[np.uint64], low: float, high: float, which: Tensor | None) -> Tensor:
    """Returns the videos of `which` whose hash of the id is in [low, high).

    Hashes are in [0, 1); None for `which` takes all videos.
    """
    count = len(hashes) if which is None else len(which)

    def pieces() -> Iterator[NDArray[np.int64]]:
        for step in steps(count):
            videos = np.arange(step.start, step.stop) if which is None else which[step].numpy()
            place = (hashes[videos] >> np.uint64(11)).astype(np.float64) * 2.0**-53
            yield videos[(low <= place) & (place < high)]

    return torch.from_numpy(joined(sum(map(len, pieces())), np.int64, pieces()))


def _rows(labels: Labels, which: Tensor) -> Labels:
    counts = joined(len(which), np.int64, _counts(labels, which))
    offsets = joined(len(which) + 1, np.int64, running_sums(counts))
    classes = joined(int(offsets[-1]), np.int64, _classes(labels, which))
    return Labels(torch.from_numpy(offsets), torch.from_numpy(classes), labels.count)


def _counts(labels: Labels, which: Tensor) -> Iterator[NDArray[np.int64]]:
    for step in steps(len(which)):
        yield (labels.offsets[which[step] + 1] - labels.offsets[which[step]]).numpy()


def _classes(labels: Labels, which: Tensor) -> Iterator[NDArray[np.int64]]:
    for step in steps(len(which)):
        starts = labels.offsets[which[step]]
        counts = labels.offsets[which[step] + 1] - starts
        first = torch.repeat_interleave(starts - (counts.cumsum(0) - counts), counts)
        yield labels.classes[torch.arange(len(first)) + first].numpy()
