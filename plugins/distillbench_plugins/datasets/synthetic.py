"""Made-up videos in real shards: for tests and for measuring speed at any size."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from distillbench import hookimpl
from distillbench.data import Recipe, ShardSource, cache_folder, require_bounds, write_synthetic
from distillbench.errors import DataError
from distillbench.interfaces import DataSet, Splits

_FORMAT = 1  # raise it whenever the same knobs come to mean other bytes
_MOST_SHARDS = 10_000


class Synthetic(DataSet):
    """Synthetic videos with a long tail of labels, in shards of YouTube-8M's layout.

    They are written once, and then read.

    Each class has a look that some of a video's shots show, so there is something to learn. The
    shards are kept in the cache, under a key of all that shapes them.

    Knobs:
        videos: how many there are in all.
        rgb: width of the first feature.
        audio: width of the second; 0 for none.
        classes: how many there are.
        most_labels: a video has from 1 to this many labels.
        shortest: the fewest frames a video may have.
        longest: the most frames a video may have.
        noise: standard deviation of each frame's noise, that of a look being 1.
        shards: files that the videos are written to.
        seed: changes all that is drawn, and the splits.
        fraction: how much of the training videos to use; a smaller part is always within a larger
            one.
        validation_share: drawn for validation.
        test_share: drawn for the test.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"videos": 60}

    recipe: ClassVar[Mapping[str, object]] = {
        "training.epochs": 5,
        "training.batch_size": 64,
        "teacher.cell_size": 64,
        "student.cell_size": 64,
    }

    def __init__(
        self,
        *,
        videos: int = 600,
        rgb: int = 64,
        audio: int = 16,
        classes: int = 20,
        most_labels: int = 4,
        shortest: int = 1,
        longest: int = 60,
        noise: float = 1.0,
        shards: int = 4,
        seed: int = 0,
        fraction: float = 1.0,
        validation_share: float = 0.15,
        test_share: float = 0.25,
    ) -> None:
        self._widths = {"rgb": rgb} | ({"audio": audio} if audio else {})
        self._made_of: dict[str, Any] = {
            "videos": videos,
            "widths": self._widths,
            "classes": classes,
            "most_labels": most_labels,
            "shortest": shortest,
            "longest": longest,
            "noise": noise,
            "seed": seed,
        }
        self._shards, self._seed, self._classes = shards, seed, classes
        self._fraction, self._validation_share, self._test_share = (
            fraction,
            validation_share,
            test_share,
        )

    def splits(self) -> Splits:
        """Writes the shards, unless they are there, and opens them."""
        source = ShardSource(
            features=",".join(self._widths),
            fraction=self._fraction,
            validation_share=self._validation_share,
            test_share=self._test_share,
            split_seed=self._seed,
            classes=self._classes,
        )
        source.check()
        return replace(source, dir=str(self._written())).splits()

    def _written(self) -> Path:
        recipe = Recipe(**self._made_of)
        require_bounds(
            "synthetic videos", {"shards": (self._shards, 1, min(recipe.videos, _MOST_SHARDS))}
        )
        key = hashlib.sha256(repr((_FORMAT, recipe, self._shards)).encode()).hexdigest()[:24]
        folder = cache_folder("synthetic", key)
        if folder.is_dir():
            return folder
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as draft:
                written = Path(draft, "shards")
                written.mkdir()
                write_synthetic(written, recipe, self._shards)
                _move(written, folder)
        except OSError as error:
            raise DataError(
                f"{folder}: made-up shards cannot be written: {error}; set $DISTILLBENCH_CACHE"
            ) from error
        return folder


def _move(written: Path, folder: Path) -> None:
    try:
        written.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was first, with the same bytes
            raise


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `synthetic`."""
    return {"synthetic": Synthetic}
