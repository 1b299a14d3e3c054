"""AudioSet's clips end to end: real embeddings in videos as long as YouTube-8M's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import torch

from distillbench import hookimpl
from distillbench.data import (
    LARGEST_SEED,
    JoinedVideos,
    ShardSource,
    Subset,
    draw_in_rounds,
    find_shards,
    nested_fraction,
    require_bounds,
)
from distillbench.errors import DataError
from distillbench.interfaces import DataSet, Splits, Videos

Normalise = Literal["l2", "l2-features", "standardise", "none"]

_VALIDATION_SHARE, _TEST_SHARE = 0.15, 0.25
_MOST_REELS, _MOST_CLIPS, _MOST_CLIPS_OF_ALL = 1_000_000, 10_000, 10_000_000
_WHERE = (
    "AudioSet's features are at https://research.google.com/audioset/download.html, and --data-dir"
    " (data.dir) names the folder of their *.tfrecord"
)


class Reels(DataSet):
    """AudioSet clips joined end to end, 6 to 30 a reel, which is up to 300 frames.

    A reel's labels are those of all its clips, 527 classes in all. Many reels have more than the 20
    that GAP@20 looks at, so that perfect scores stay below 1 (0.59 with the usual sizes).

    The clips are shared out first, by a hash of their ids: 60 % to train on, 15 % to validate, 25 %
    to test. No clip is in two splits. A split's reels are then drawn from its clips; a clip is in
    another reel only after all others of its split were in one. Clips have up to 10 frames of 128
    numbers, one a second. The recipe trains until validation is no longer better; it is the best of
    six trials of a student alone, rounded (benchmarks/study/reels_recipe.toml).

    Knobs:
        dir: folder of AudioSet's *.tfrecord, which hold its frame-level features.
        train: training reels.
        validation: validation reels.
        test: test reels.
        fewest: the fewest clips a reel may have.
        most: the most clips a reel may have.
        fraction: how much of the training reels to use; a smaller part is always within a larger
            one.
        features: the lists that make a frame, joined in this order.
        normalise: what each frame is divided by: l2, its norm; l2-features, each list's norm;
            standardise, the training clips' deviation after their mean was taken away; none.
        seed: what clips are shared out and reels are drawn with.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"train": 60, "validation": 20, "test": 30}

    recipe: ClassVar[Mapping[str, object]] = {
        "data.normalise": "standardise",
        "training.epochs": 60,
        "training.patience": 4,
        "training.batch_size": 64,
        "training.learning_rate": 0.0035,
        "training.decay": 0.85,
        "training.decay_examples": 20_000,
        "head.dropout": 0.5,
        "teacher.cell_size": 128,
        "student.cell_size": 128,
        "k": 15,
    }

    def __init__(
        self,
        *,
        dir: str = "",
        train: int = 12_000,
        validation: int = 500,
        test: int = 1000,
        fewest: int = 6,
        most: int = 30,
        fraction: float = 1.0,
        features: str = "audio_embedding",
        normalise: Normalise = "l2",
        seed: int = 0,
    ) -> None:
        self._sizes = {"train": train, "validation": validation, "test": test}
        self._fewest, self._most, self._fraction, self._seed = fewest, most, fraction, seed
        self._clips = ShardSource(
            dir=dir,
            features=features,
            validation_share=_VALIDATION_SHARE,
            test_share=_TEST_SHARE,
            split_seed=seed,
            normalise=normalise,
        )

    def splits(self) -> Splits:
        """Opens the shards, indexing those that are new, and draws reels of each split's clips."""
        self._check()
        clips = self._clips.splits()
        made = {
            name: self._reels(name, number, getattr(clips, name))
            for number, name in enumerate(self._sizes, start=1)
        }
        every = torch.arange(len(made["train"]))
        kept = nested_fraction(made["train"].ids, every, self._fraction, seed=self._seed)
        if not len(kept):
            raise DataError(
                f"reels: a fraction of {self._fraction} of {len(every):,} training reels is none;"
                " give a larger fraction or train"
            )
        return Splits(Subset(made["train"], kept), made["validation"], made["test"])

    def _check(self) -> None:
        require_bounds(
            "reels",
            {
                **{name: (size, 1, _MOST_REELS) for name, size in self._sizes.items()},
                "most": (self._most, 1, _MOST_CLIPS),
                "fewest": (self._fewest, 1, self._most),
                "seed": (self._seed, 0, LARGEST_SEED),
            },
        )
        largest = max(self._sizes.values())
        if largest * self._most > _MOST_CLIPS_OF_ALL:
            raise DataError(
                f"reels: {largest:,} reels of {self._most:,} clips do not fit into memory; a split"
                f" has {_MOST_CLIPS_OF_ALL:,} clips at most"
            )
        if not self._clips.dir:
            raise DataError(f"reels: no data was named; {_WHERE}")
        try:
            find_shards(self._clips.dir)
        except DataError as error:
            raise DataError(f"{error}; {_WHERE}") from error

    def _reels(self, name: str, number: int, clips: Videos) -> JoinedVideos:
        # One generator each: fewer reels are the first of more.
        sizing, drawing = (np.random.default_rng([self._seed, number, of]) for of in range(2))
        sizes = sizing.integers(self._fewest, self._most + 1, self._sizes[name])
        offsets = np.concatenate([[0], sizes.cumsum()])
        drawn = draw_in_rounds(len(clips), int(offsets[-1]), drawing)
        ids = [f"{name}-{reel:05d}" for reel in range(len(sizes))]
        return JoinedVideos(clips, ids, torch.from_numpy(offsets), torch.from_numpy(drawn))


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `reels`."""
    return {"reels": Reels}
