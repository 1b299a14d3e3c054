"""From a user's words (a folder, patterns, shares, lists of ids) to the three splits of a set of shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distillbench.data.bounds import MOST_CLASSES, require_bounds
from distillbench.data.paths import expanded
from distillbench.data.shards import ShardVideos, find_shards
from distillbench.data.splits import (
    NAMES,
    check_fraction,
    check_shares,
    load_ids,
    nested_fraction,
    split_by_hash,
    splits_of,
)
from distillbench.data.vocabulary import find_vocabulary, read_vocabulary
from distillbench.errors import DataError
from distillbench.interfaces import Splits

Three = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class ShardSource:
    """Opens frame-level shards as three splits.

    folder: where the shards are; every `*.tfrecord` under it is shared out by hash of the id. train, validation, test:
        patterns of the user's own split, beginning in `folder` where that is given; without one for validation or test,
        that split is hashed out of the training videos.
    ids: a folder of `train.txt`, `validation.txt` and `test.txt`, an id a line, in place of patterns or shares.
    features: names of lists, joined by commas. fraction: of the training videos that is used, nested. classes: how many
        there are; by default what the vocabulary says (`vocabulary`, or the one csv beside the shards), or else the
        highest label and one.
    """

    folder: str = ""
    train: str = ""
    validation: str = ""
    test: str = ""
    ids: str = ""
    features: str
    fraction: float = 1.0
    validation_share: float = 0.1
    test_share: float = 0.1
    split_seed: int = 0
    classes: int | None = None
    vocabulary: str = ""
    skip_bad_records: bool = False

    def splits(self) -> Splits:
        """Opens all shards; raises `DataError` for anything that the user can mend."""
        self.check()
        shards, owner = self._shards()
        videos = ShardVideos(
            shards,
            self._features(),
            classes=self.classes,
            class_names=self._class_names(shards),
            skip_bad_records=self.skip_bad_records,
        )
        train, validation, test = self._share(videos, owner)
        train = nested_fraction(videos.ids, train, self.fraction, seed=self.split_seed)
        return splits_of(videos, train, validation, test)

    def check(self) -> None:
        """Raises `DataError` for a number that makes no sense, before a shard is looked for."""
        check_shares(self.validation_share, self.test_share)
        check_fraction(self.fraction)
        if self.classes is not None:
            require_bounds("shards", {"classes": (self.classes, 1, MOST_CLASSES)})

    def _features(self) -> list[str]:
        names = [name.strip() for name in self.features.split(",") if name.strip()]
        if not names or len(set(names)) < len(names):
            raise DataError(
                f"features {self.features!r} must name at least one list, and none twice: such as 'rgb,audio'"
            )
        return names

    def _shards(self) -> tuple[list[Path], list[str]]:
        """Returns all shards and the split that each belongs to; an empty name where hash or list will tell."""
        patterns = {name: getattr(self, name) for name in NAMES if getattr(self, name)}
        if not patterns:
            if not self.folder:
                raise DataError("no data was named: give --data-dir FOLDER, or --set data.train=PATTERN and data.test")
            shards = find_shards(self.folder)
            return shards, [""] * len(shards)
        if self.ids:
            raise DataError("data.ids names the videos of each split, and so do the patterns: give one of the two")
        if "train" not in patterns:
            raise DataError(f"a pattern was given for {' and '.join(patterns)} and none for train: set data.train too")
        owner: dict[Path, str] = {}
        for name, pattern in patterns.items():
            for path in find_shards(str(Path(self.folder) / expanded(pattern))):
                if path in owner:
                    raise DataError(f"{path} is in the {owner[path]} and in the {name} split: the patterns overlap")
                owner[path] = name
        return list(owner), list(owner.values())

    def _class_names(self, shards: Sequence[Path]) -> list[str] | None:
        if self.vocabulary:
            names = read_vocabulary(expanded(self.vocabulary))
        else:
            folders = {path.parent for path in shards} | ({expanded(self.folder)} if self.folder else set())
            names = find_vocabulary(folders) or []
        if self.classes and len(names) != self.classes:
            return None
        return names or None

    def _share(self, videos: ShardVideos, owner: Sequence[str]) -> Three:
        if self.ids:
            return load_ids(videos.ids, expanded(self.ids))
        of = np.array([NAMES.index(name) if name else 0 for name in owner])[videos.shard_of]
        own = [torch.from_numpy(np.flatnonzero(of == number)) for number in range(len(NAMES))]
        validation_share = 0.0 if "validation" in owner else self.validation_share
        test_share = 0.0 if "test" in owner else self.test_share
        shared = split_by_hash(videos.ids, validation_share, test_share, seed=self.split_seed, which=own[0])
        return shared[0], torch.cat([own[1], shared[1]]), torch.cat([own[2], shared[2]])
