"""Your own features as a `datasets` dataset, saved on disk or by its name: a row a video."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from distillbench import hookimpl
from distillbench.data import ArrowFormat, FeatureSource, RowColumns, warn_of_single_labels
from distillbench.errors import DataError
from distillbench.interfaces import DataSet, LabelKind, Splits


class HuggingFace(DataSet):
    """Your own features as Hugging Face's `datasets` saves them, or in any Arrow files.

    A row is a video, with any number of labels; `huggingface-single-label` is for one label each.

    Files are mapped and read by the frame, without the library. Labels stand in a column, or in
    labels.csv beside the files.

    Knobs:
        name: of a dataset that the library loads, with its configuration after a colon if it has
            several; none: what is in dir.
    """

    def __init__(
        self,
        *,
        name: str = "",
        columns: RowColumns = RowColumns(),
        arrays: FeatureSource = FeatureSource(),
    ) -> None:
        self._name, self._form, self._arrays = name, ArrowFormat(columns, "huggingface"), arrays

    def splits(self) -> Splits:
        """Opens the rows; warns where every video has one label."""
        splits = _source(self._name, self._arrays).splits(self._form, self.label_kind)
        warn_of_single_labels(splits.train, "huggingface-single-label")
        return splits


class HuggingFaceSingleLabel(DataSet):
    """Rows as of `huggingface`, whose videos have exactly one label each.

    Networks are trained and judged as classifiers of one class a video.

    Knobs:
        name: of a dataset that the library loads, with its configuration after a colon if it has
            several; none: what is in dir.
    """

    label_kind: ClassVar[LabelKind] = "single-label"

    def __init__(
        self,
        *,
        name: str = "",
        columns: RowColumns = RowColumns(),
        arrays: FeatureSource = FeatureSource(),
    ) -> None:
        self._name, self._form, self._arrays = name, ArrowFormat(columns, "huggingface"), arrays

    def splits(self) -> Splits:
        """Opens the rows; a video of several labels is an error."""
        return _source(self._name, self._arrays).splits(self._form, self.label_kind)


def _source(name: str, arrays: FeatureSource) -> FeatureSource:
    """Returns where files lie: of a dataset with a name, where the library keeps them."""
    if not name:
        return arrays
    if arrays.dir:
        raise DataError("data.name and data.dir both say what to read: give one of the two")
    return replace(arrays, dir=str(_loaded(name)))


def _loaded(name: str) -> Path:
    try:
        import datasets  # takes seconds, and nothing else needs it
    except ImportError as error:
        raise DataError(
            "datasets are loaded by name with the library 'datasets', which is not installed: pip"
            " install 'distillbench[huggingface]', or name a saved one with --data-dir"
        ) from error
    named, _, configuration = name.partition(":")
    try:
        loaded = datasets.load_dataset(named, configuration or None)
    except Exception as error:  # of whatever fails in loading: a name, a network, a file
        raise DataError(f"the dataset {name!r} cannot be loaded: {error}") from error
    files = {Path(each["filename"]) for split in loaded.values() for each in split.cache_files}
    folders = {path.parent for path in files}
    if len(folders) != 1:
        raise DataError(
            f"the dataset {name!r} is not in one folder; save it with save_to_disk, and name that"
            " with --data-dir"
        )
    return folders.pop()


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `huggingface` and `huggingface-single-label`."""
    return {"huggingface": HuggingFace, "huggingface-single-label": HuggingFaceSingleLabel}
