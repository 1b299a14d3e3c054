"""Shards that `distillbench data pack` wrote, whatever they were made of."""

from __future__ import annotations

from typing import ClassVar

from distillbench import hookimpl
from distillbench.data import ShardSource, warn_of_single_labels
from distillbench.interfaces import DataSet, LabelKind, Splits

_SHARDS = ShardSource(features="", normalise="as-packed")


class Packed(DataSet):
    """Any data set after `distillbench data pack`: its splits, labels, codec and names of classes.

    A video has any number of labels; `packed-single-label` is for videos of one each.
    """

    def __init__(self, *, shards: ShardSource = _SHARDS) -> None:
        self._shards = shards

    def splits(self) -> Splits:
        """Opens the shards, indexing those that are new; warns where every video has one label."""
        splits = self._shards.splits()
        warn_of_single_labels(splits.train, "packed-single-label")
        return splits


class PackedSingleLabel(DataSet):
    """Shards as of `packed`, whose videos have exactly one label each.

    Networks are trained and judged as classifiers of one class a video.
    """

    label_kind: ClassVar[LabelKind] = "single-label"

    def __init__(self, *, shards: ShardSource = _SHARDS) -> None:
        self._shards = shards

    def splits(self) -> Splits:
        """Opens the shards; a video of several labels is an error."""
        return self._shards.splits(self.label_kind)


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `packed` and `packed-single-label`."""
    return {"packed": Packed, "packed-single-label": PackedSingleLabel}
