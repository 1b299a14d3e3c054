"""Turns a folder or patterns, shares and lists of ids into the splits of a set of shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from distillbench.data.bounds import MOST_CLASSES, require_bounds
from distillbench.data.normalising import normalising
from distillbench.data.pack_description import PackDescription, description_of
from distillbench.data.places import Place, place_of, within
from distillbench.data.splits import (
    NAMES,
    Three,
    check_fraction,
    check_shares,
    drawn_where_unnamed,
    load_ids,
    nested_fraction,
    require_one_label,
    splits_of,
)
from distillbench.data.tfrecord.reader import ShardVideos, find_shards
from distillbench.data.vocabulary import find_vocabulary, read_vocabulary
from distillbench.errors import DataError
from distillbench.interfaces import LabelKind, Splits
from distillbench.interfaces.clips import Normalise

_VALIDATION_SHARE = 0.1

ShardNormalise = Literal["l2", "l2-features", "standardise", "none", "as-packed"]


@dataclass(frozen=True, kw_only=True)
class ShardSource:
    """Opens frame-level shards as three splits; the knobs of every data set that is made of shards.

    With only `dir`, every `*.tfrecord` under it is shared out by a hash of the id. Shards that
    `distillbench data pack` wrote say themselves how they are read, and which split each is of.

    Shards may be somewhere else: folders and patterns may be URLs of `gs`, `s3`, `https` or `http`.

    Knobs:
        dir: folder of *.tfrecord, which patterns begin in; here, or by URL.
        train: pattern of the training shards.
        validation: pattern of the validation shards; none: drawn out of the training videos.
        test: pattern of the test shards; none: drawn out of the training videos.
        ids: folder of train.txt, validation.txt, test.txt (an id a line) that name the videos of
            each split.
        features: the lists that make a frame, joined in this order; none: all of packed shards.
        fraction: how much of the training videos to use; a smaller part is always within a larger
            one.
        validation_share: drawn for validation; none: 0.1.
        test_share: drawn for the test.
        split_seed: changes what is drawn.
        normalise: what each frame is divided by: l2, its norm; l2-features, each list's norm;
            standardise, the training videos' deviation after their mean was taken away; none;
            as-packed, what the data set did that was packed.
        classes: their number; none: that of packed shards, else the vocabulary's, else the
            highest label and one.
        vocabulary: csv of class names; none: the one beside the shards, if any.
        skip_bad_records: leave out, count and report what cannot be read, rather than stop.
    """

    dir: str = ""
    train: str = ""
    validation: str = ""
    test: str = ""
    ids: str = ""
    features: str
    fraction: float = 1.0
    validation_share: float | None = _VALIDATION_SHARE
    test_share: float = 0.1
    split_seed: int = 0
    normalise: ShardNormalise = "l2"
    classes: int | None = None
    vocabulary: str = ""
    skip_bad_records: bool = False

    def splits(self, label_kind: LabelKind = "multi-label") -> Splits:
        """Opens all shards; raises `DataError` for anything that the user can mend.

        label_kind: single-label data has exactly one label a video.
        """
        self.check()
        shards, owner = self._shards()
        packed = description_of(path.parent for path in shards)
        classes = self.classes or (packed.classes if packed else None)
        videos = ShardVideos(
            shards,
            self._features(packed),
            classes=classes,
            class_names=self._class_names(shards, classes),
            skip_bad_records=self.skip_bad_records,
            codec=packed.codec if packed else None,
            dtype=packed.torch_dtype if packed else torch.uint8,
        )
        if label_kind == "single-label":
            require_one_label(videos)
        train, validation, test = self._share(videos, owner)
        train = nested_fraction(videos.ids, train, self.fraction, seed=self.split_seed)
        videos.decode_with(normalising(self._normalise(packed), videos, train))
        return splits_of(videos, train, validation, test)

    def check(self) -> None:
        """Raises `DataError` for a number that makes no sense, before a shard is looked for."""
        check_shares(self._validation_share(), self.test_share)
        check_fraction(self.fraction)
        if self.classes is not None:
            require_bounds("shards", {"classes": (self.classes, 1, MOST_CLASSES)})

    def _validation_share(self) -> float:
        return _VALIDATION_SHARE if self.validation_share is None else self.validation_share

    def _normalise(self, packed: PackDescription | None) -> Normalise:
        if self.normalise != "as-packed":
            return self.normalise
        if packed is None:
            raise DataError("data.normalise is as-packed, and these shards were not packed")
        return packed.normalise

    def _features(self, packed: PackDescription | None) -> list[str]:
        if not self.features and packed:
            return list(packed.features)
        names = [name.strip() for name in self.features.split(",") if name.strip()]
        if not names or len(set(names)) < len(names):
            raise DataError(
                f"features {self.features!r} must name at least one list, and none twice: such as"
                " 'rgb,audio'"
            )
        return names

    def _shards(self) -> tuple[list[Place], list[str]]:
        """Returns all shards and the split that each belongs to.

        An empty name where hash or list will tell.
        """
        patterns = {name: getattr(self, name) for name in NAMES if getattr(self, name)}
        if not patterns and not self.ids and self.dir:
            packed = description_of([place_of(self.dir)])
            patterns = {name: f"{name}-*.tfrecord" for name in NAMES if packed}
        if not patterns:
            if not self.dir:
                raise DataError(
                    "no data was named: give --data-dir FOLDER, or --set data.train=PATTERN and"
                    " data.test"
                )
            shards = find_shards(self.dir)
            return shards, [""] * len(shards)
        if self.ids:
            raise DataError(
                "data.ids names the videos of each split, and so do the patterns: give one of"
                " the two"
            )
        if "train" not in patterns:
            raise DataError(
                f"a pattern was given for {' and '.join(patterns)} and none for train: set"
                " data.train too"
            )
        owner: dict[Place, str] = {}
        for name, pattern in patterns.items():
            for path in find_shards(within(self.dir, pattern)):
                if path in owner:
                    raise DataError(
                        f"{path} is in the {owner[path]} and in the {name} split: the patterns"
                        " overlap"
                    )
                owner[path] = name
        return list(owner), list(owner.values())

    def _class_names(self, shards: Sequence[Place], classes: int | None) -> list[str] | None:
        if self.vocabulary:
            names = read_vocabulary(place_of(self.vocabulary))
        else:
            folders = {path.parent for path in shards} | (
                {place_of(self.dir)} if self.dir else set()
            )
            names = find_vocabulary(folders) or []
        if classes and len(names) != classes:
            return None
        return names or None

    def _share(self, videos: ShardVideos, owner: Sequence[str]) -> Three:
        if self.ids:
            return load_ids(videos.ids, place_of(self.ids))
        of = np.array([NAMES.index(name) if name else 0 for name in owner])[videos.shard_of]
        own = [torch.from_numpy(np.flatnonzero(of == number)) for number in range(len(NAMES))]
        return drawn_where_unnamed(
            videos.ids,
            own,
            owner,
            self._validation_share(),
            self.test_share,
            seed=self.split_seed,
        )
