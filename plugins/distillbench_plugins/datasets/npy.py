"""A folder of your own features: one .npy file a video, with labels in a table or beside it."""

from __future__ import annotations

from typing import ClassVar

from distillbench import hookimpl
from distillbench.data import FeatureSource, NpyFolder, warn_of_single_labels
from distillbench.interfaces import DataSet, LabelKind, Splits


class Npy(DataSet):
    """Your own features: a folder of .npy files, one array (frames, numbers) a video.

    A video has any number of labels, at least one; `npy-single-label` is for videos of one each.

    Labels stand in labels.csv (columns `id` and `labels`, `;` between labels, and perhaps `split`)
    or in a JSON file beside each array. Only the chosen frames are read.
    """

    def __init__(self, *, arrays: FeatureSource = FeatureSource()) -> None:
        self._arrays = arrays

    def splits(self) -> Splits:
        """Opens the arrays; warns where every video has one label."""
        splits = self._arrays.splits(NpyFolder(), self.label_kind)
        warn_of_single_labels(splits.train, "npy-single-label")
        return splits


class NpySingleLabel(DataSet):
    """A folder of .npy files as of `npy`, whose videos have exactly one label each.

    Networks are trained and judged as classifiers of one class a video.
    """

    label_kind: ClassVar[LabelKind] = "single-label"

    def __init__(self, *, arrays: FeatureSource = FeatureSource()) -> None:
        self._arrays = arrays

    def splits(self) -> Splits:
        """Opens the arrays; a video of several labels is an error."""
        return self._arrays.splits(NpyFolder(), self.label_kind)


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `npy` and `npy-single-label`."""
    return {"npy": Npy, "npy-single-label": NpySingleLabel}
