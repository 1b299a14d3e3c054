"""YouTube-8M: frame-level shards as Google publishes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from distillbench import hookimpl
from distillbench.data import ShardSource
from distillbench.errors import DataError
from distillbench.interfaces import DataSet, Publication, PublishedFile, Splits

_PAPER_VALIDATION = 48_163 / 5_786_881


class _GoogleBuckets(Publication):
    """The buckets of YouTube-8M, version 2, by HTTPS, as its script download.py reads them.

    One bucket lists the files of each split with their checksums, and each mirror has them.
    """

    base = "https://storage.googleapis.com"
    splits = ("train", "validate", "test")
    mirrors = ("us", "eu", "asia")

    def files(
        self, split: str, base: str, mirror: str, read: Callable[[str], bytes]
    ) -> Sequence[PublishedFile]:
        plan = f"{base}/data.yt8m.org/2/download_plans/frame_{split}.json"
        folder = f"{base}/{mirror}.data.yt8m.org/2/frame/{split}"
        try:
            found = json.loads(read(plan))["files"]
            return [
                PublishedFile(name, f"{folder}/{name}", checksum.lower())
                for name, checksum in found.items()
            ]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(f"{plan}: this is no list of files and their MD5") from error


class YouTube8M(DataSet):
    """YouTube-8M frame-level shards, or any in the same layout.

    One frame a second, rgb 1024 and audio 128.

    With only `dir`, its videos are shared out by a hash of their ids. The paper's protocol
    (docs/paper.md, section 4) is `train` the training shards and `test` the published validation
    shards; its validation videos are then drawn out of `train`.

    Knobs:
        validation_share: drawn for validation; none: the paper's 48,163 of 5,786,881 beside test
            shards, else 0.1.
    """

    recipe: ClassVar[Mapping[str, object]] = {
        "training.epochs": 5,
        "training.batch_size": 256,
        "training.learning_rate": 1e-3,
    }

    publication: ClassVar[Publication | None] = _GoogleBuckets()

    def __init__(
        self, *, shards: ShardSource = ShardSource(features="rgb,audio", validation_share=None)
    ) -> None:
        if shards.test and shards.validation_share is None:
            shards = replace(shards, validation_share=_PAPER_VALIDATION)
        self._shards = shards

    def splits(self) -> Splits:
        """Opens the shards, indexing those that are new."""
        return self._shards.splits()


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `yt8m`."""
    return {"yt8m": YouTube8M}
