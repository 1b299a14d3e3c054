"""Turns arrays of features and their labels, in files of any format, into three splits."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from distillbench.data.array_format import ArrayFormat, Found
from distillbench.data.bounds import MOST_CLASSES, require_bounds
from distillbench.data.faults import Faults
from distillbench.data.label_table import (
    Classes,
    LabelRow,
    classes_of,
    read_class_names,
    read_label_table,
)
from distillbench.data.normalising import normalising
from distillbench.data.paths import expanded
from distillbench.data.splits import (
    NAMES,
    Three,
    check_fraction,
    check_shares,
    drawn_where_unnamed,
    load_ids,
    nested_fraction,
    splits_of,
)
from distillbench.data.stored_arrays import AS_STORED, ArrayVideos, StoredArray, UnusableArrayError
from distillbench.errors import DataError
from distillbench.interfaces import LabelKind, Labels, Splits
from distillbench.urls import is_url

SplitBy = Literal["auto", "lists", "folders", "column", "hash"]
Normalise = Literal["none", "l2", "standardise"]

_MOST = 1e9


@dataclass(frozen=True, kw_only=True)
class FeatureSource:
    """Opens arrays (frames, numbers), one a video, in files of some format, as three splits.

    These are the knobs of every data set of one's own features. Arrays are uint8, float16, float32
    or float64, all of one type and width, and keep their type until they are on the device.

    Labels are names or numbers of classes. They come from a table with the columns `id` and
    `labels`, `;` between labels, or else from where the format has them.

    Splits are those of lists of ids, else of folders `train`, `validation` and `test`, below which
    ids begin, else of a column `split`, else a hash of the id shares videos out. `validation` and
    `test` are drawn out of the training videos where nothing names them.

    Knobs:
        dir: folder of the files, at any depth, or one file.
        labels: csv or parquet of labels; none: labels.csv or labels.parquet in the folder, else
            what stands beside the arrays.
        vocabulary: names of classes, as a csv of index and name or a text of a name a line; none:
            classes.csv or classes.txt in the folder, else the files' own, else the labels
            themselves, sorted.
        classes: their number, where labels are numbers; none: the highest and one.
        split_by: lists, folders, column or hash; auto: the first of these that is there.
        ids: folder of train.txt, validation.txt, test.txt (an id a line) that name the videos of
            each split.
        fraction: how much of the training videos to use; a smaller part is always within a larger
            one.
        validation_share: drawn for validation, where nothing names it.
        test_share: drawn for the test, where nothing names it.
        split_seed: changes what is drawn.
        normalise: what each frame is divided by: none, so that networks see what the arrays hold;
            l2, its norm; standardise, the training videos' deviation after their mean was taken
            away.
        scale: what numbers of uint8 are multiplied by.
        offset: what is then added to them.
        check_values: read all frames when opening, to find numbers that are not finite; else they
            are an error once they are read. Bad records are skipped by their values as well.
        skip_bad_records: leave out, count and report videos that cannot be used, rather than stop.
    """

    dir: str = ""
    labels: str = ""
    vocabulary: str = ""
    classes: int | None = None
    split_by: SplitBy = "auto"
    ids: str = ""
    fraction: float = 1.0
    validation_share: float = 0.1
    test_share: float = 0.1
    split_seed: int = 0
    normalise: Normalise = "none"
    scale: float = 1.0
    offset: float = 0.0
    check_values: bool = False
    skip_bad_records: bool = False

    def splits(self, form: ArrayFormat, label_kind: LabelKind = "multi-label") -> Splits:
        """Opens all arrays; raises `DataError` for anything that the user can mend.

        form: finds the arrays and reads them.
        label_kind: single-label data has exactly one label a video.
        """
        self.check()
        opened = _Opening(self, form, label_kind)
        videos = opened.videos()
        train, validation, test = opened.shared(videos)
        train = nested_fraction(videos.ids, train, self.fraction, seed=self.split_seed)
        videos.decode_with(normalising(self.normalise, videos, train))
        return splits_of(videos, train, validation, test)

    def check(self) -> None:
        """Raises `DataError` for a knob that makes no sense, before a file is looked for."""
        check_shares(self.validation_share, self.test_share)
        check_fraction(self.fraction)
        bounds = {"scale": (self.scale, 1 / _MOST, _MOST), "offset": (self.offset, -_MOST, _MOST)}
        if self.classes is not None:
            bounds["classes"] = self.classes, 1, MOST_CLASSES
        require_bounds("arrays", bounds)
        if not self.dir:
            raise DataError("no data was named: give --data-dir with a folder or a file")
        if is_url(self.dir):
            raise DataError(
                f"{self.dir}: only shards are read by URL; copy these files here, or make shards of"
                " them with distillbench data pack and put those there"
            )
        if self.ids and self.split_by not in ("auto", "lists"):
            raise DataError(
                f"data.ids names the videos of each split, and data.split_by is {self.split_by}:"
                " give one of the two"
            )
        if self.split_by == "lists" and not self.ids:
            raise DataError("data.split_by is lists, and data.ids names no folder of lists")


class _Opening:
    """Arrays that are being opened: what was found, and what is wrong with it."""

    def __init__(self, source: FeatureSource, form: ArrayFormat, label_kind: LabelKind) -> None:
        self._source, self._form, self._label_kind = source, form, label_kind
        self._root = expanded(source.dir)
        if not os.path.exists(self._root):
            raise DataError(f"{self._root}: there is no such file or folder")
        self._faults = Faults()
        self._beside = self._root if self._root.is_dir() else self._root.parent
        self._table = _table(self._beside, source.labels)
        found = list(
            form.found(
                self._root,
                labels=self._table is None,
                check_values=source.check_values or source.skip_bad_records,
                faults=self._faults,
            )
        )
        if not found:
            raise DataError(f"{self._root}: {form.nothing}")
        self._split_by = self._way(found)
        self._found, self._named = self._identified(found)

    def videos(self) -> ArrayVideos:
        """Opens all that can be used.

        Raises `DataError` where nothing can be, or something cannot and is not to be skipped.
        """
        arrays = self._alike(self._usable())
        rows = self._labelled(arrays)
        classes = classes_of(
            (label for row in rows.values() for label in row.labels),
            _names(self._beside, self._source.vocabulary) or self._form.class_names,
            self._source.classes,
        )
        usable = [name for name in arrays if name in rows and self._is_usable(rows[name], classes)]
        skipped = self._faults.settle(self._root, skip=self._source.skip_bad_records)
        if not usable:
            raise DataError(f"{self._root}: none of its {len(self._found):,} arrays can be used")
        if self._split_by == "column":
            self._named |= {name: rows[name].split for name in usable}
        self._require_meaning(arrays[usable[0]])
        chosen = [arrays[name] for name in usable]
        return self._form.reader(chosen)(
            chosen,
            usable,
            _labels([rows[name].labels for name in usable], classes),
            class_names=classes.names,
            codec=replace(AS_STORED, scale=self._source.scale, offset=self._source.offset),
            skipped=skipped,
        )

    def shared(self, videos: ArrayVideos) -> Three:
        """Shares the videos out to the three splits."""
        source = self._source
        if self._split_by == "lists":
            return load_ids(videos.ids, expanded(source.ids))
        of = torch.tensor([NAMES.index(self._named.get(each) or "train") for each in videos.ids])
        own = [(of == number).nonzero().flatten() for number in range(len(NAMES))]
        named = set(self._named.values())
        shares = source.validation_share, source.test_share
        return drawn_where_unnamed(videos.ids, own, named, *shares, seed=source.split_seed)

    def _way(self, found: Sequence[Found]) -> SplitBy:
        """Returns how videos are shared out; raises `DataError` for a way that is not there."""
        by = self._source.split_by
        has_column = self._table[1] if self._table else any(each.split for each in found)
        tops = {each.name.partition("/")[0] for each in found if "/" in each.name}
        has_folders = "train" in tops and not tops.isdisjoint(NAMES[1:])
        if by == "folders" and not has_folders:
            raise DataError(
                f"{self._root}: data.split_by is folders, and there is no train and test"
            )
        if by == "column" and not has_column:
            raise DataError(f"{self._root}: data.split_by is column, and there is none 'split'")
        if by != "auto":
            return by
        if self._source.ids:
            return "lists"
        return "folders" if has_folders else "column" if has_column else "hash"

    def _identified(self, every: Sequence[Found]) -> tuple[dict[str, Found], dict[str, str]]:
        """Returns what was found by its id, and the split of each id where a folder says it."""
        found: dict[str, Found] = {}
        named: dict[str, str] = {}
        for each in every:
            name, split = each.name, ""
            if self._split_by == "folders":
                split, _, name = name.partition("/")
                if split not in NAMES or not name:
                    why = "it is in none of the folders train, validation, test"
                    if isinstance(each.array, UnusableArrayError):  # a file that is none
                        self._faults.add(each.name, each.array.reason, each.array.detail)
                    else:
                        self._faults.add(each.name, why)
                    continue
            if not _is_text(name):
                self._faults.add(name, "its name is not one line of printable text")
            elif name in found:
                self._faults.add(name, "its id occurs before", each.where)
            else:
                found[name] = each
                named |= {name: split} if split else {}
        return found, named

    def _usable(self) -> dict[str, StoredArray]:
        """Returns the arrays that can be read, and adds why others cannot."""
        arrays = {}
        for name, each in self._found.items():
            if isinstance(each.array, StoredArray):
                arrays[name] = each.array
            else:
                self._faults.add(name, each.array.reason, each.array.detail)
        return arrays

    def _alike(self, arrays: Mapping[str, StoredArray]) -> dict[str, StoredArray]:
        """Keeps the arrays that have the type and the width of most."""
        kinds = Counter(each.kind for each in arrays.values())
        if len(kinds) < 2:
            return dict(arrays)
        usual = kinds.most_common(1)[0][0]
        for name, each in arrays.items():
            if each.kind != usual:
                self._faults.add(
                    name,
                    "its type or width is not that of most arrays",
                    f"{each.kind}, and most are {usual}",
                )
        return {name: each for name, each in arrays.items() if each.kind == usual}

    def _labelled(self, arrays: Mapping[str, StoredArray]) -> dict[str, LabelRow]:
        """Returns what is said of each id, by the table or where the array is."""
        if self._table is None:
            rows = {
                name: LabelRow(name, each.labels, each.split)
                for name, each in self._found.items()
                if each.labels is not None
            }
        else:
            rows = self._of_table(self._table[0])
        for name in sorted(rows.keys() - self._found.keys()):
            self._faults.add(name, "it has labels and no array")
        for name in sorted(arrays.keys() - rows.keys()):
            self._faults.add(name, "it has an array and no labels")
        return rows

    def _of_table(self, table: Sequence[LabelRow]) -> dict[str, LabelRow]:
        rows: dict[str, LabelRow] = {}
        for row in table:
            if row.id in rows:
                self._faults.add(row.id, "its id occurs before", "in the table of labels")
            else:
                rows[row.id] = row
        return rows

    def _is_usable(self, row: LabelRow, classes: Classes) -> bool:
        """Tells whether what is said of a video can be used; adds what is wrong."""
        unknown = [label for label in row.labels if label not in classes.numbers]
        if self._split_by == "column" and row.split not in NAMES:
            self._faults.add(row.id, "its split is not train, validation or test", repr(row.split))
        elif not row.labels:
            self._faults.add(row.id, "it has no label")
        elif unknown:
            self._faults.add(row.id, "a label is no class", unknown[0])
        elif self._label_kind == "single-label" and len(row.labels) > 1:
            self._faults.add(row.id, "it has more than one label", ";".join(row.labels))
        else:
            return True
        return False

    def _require_meaning(self, array: StoredArray) -> None:
        source = self._source
        if array.dtype != "|u1" and (source.scale, source.offset) != (1.0, 0.0):
            raise DataError(
                f"{self._root}: data.scale and data.offset are for uint8, and these arrays are"
                f" {array.kind}; networks see what they hold"
            )


def _table(root: Path, labels: str) -> tuple[list[LabelRow], bool] | None:
    """Reads the table of labels that is named, else the folder's; None where there is none."""
    if labels:
        return read_label_table(expanded(labels))
    found = [path for path in (root / "labels.csv", root / "labels.parquet") if path.is_file()]
    if len(found) > 1:
        raise DataError(f"{found[0]} and {found[1].name} are both there; set data.labels to one")
    return read_label_table(found[0]) if found else None


def _names(root: Path, vocabulary: str) -> list[str] | None:
    """Reads the names of classes that are named, else the folder's; None where there are none."""
    if vocabulary:
        return read_class_names(expanded(vocabulary))
    found = [path for path in (root / "classes.csv", root / "classes.txt") if path.is_file()]
    if len(found) > 1:
        raise DataError(
            f"{found[0]} and {found[1].name} are both there; set data.vocabulary to one"
        )
    return read_class_names(found[0]) if found else None


def _labels(each: Sequence[Sequence[str]], classes: Classes) -> Labels:
    counts = torch.tensor([0, *map(len, each)])
    flat = [sorted(classes.numbers[label] for label in labels) for labels in each]
    return Labels(
        counts.cumsum(0), torch.tensor([number for row in flat for number in row]), classes.count
    )


def _is_text(name: str) -> bool:
    return bool(name) and name.isprintable() and name == name.strip()
