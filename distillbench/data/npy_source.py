"""Turns a folder of .npy files and their labels into three splits."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NoReturn

import torch

from distillbench.data.bounds import MOST_CLASSES, require_bounds
from distillbench.data.faults import Faults
from distillbench.data.label_table import (
    Classes,
    LabelRow,
    classes_of,
    labels_beside,
    read_class_names,
    read_label_table,
)
from distillbench.data.normalising import normalising
from distillbench.data.npy_videos import AS_STORED, NpyArray, NpyVideos, UnusableArrayError
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
from distillbench.errors import DataError
from distillbench.interfaces import LabelKind, Labels, Splits

SplitBy = Literal["auto", "lists", "folders", "column", "hash"]
Normalise = Literal["none", "l2", "standardise"]

_MOST = 1e9
_FILES = 256  # that one task of a thread opens
_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class NpySource:
    """Opens a folder of .npy files, one array (frames, numbers) a video, as three splits.

    These are the knobs of every data set that is made of such a folder. Arrays are uint8, float16,
    float32 or float64, all of one type and width, and keep their type until they are on the device.
    A video's id is its array's path below the folder, without `.npy`.

    Labels are names or numbers of classes. They come from a table with the columns `id` and
    `labels`, `;` between labels, or else from a JSON file beside each array, which has the array's
    name and a list `labels`.

    Splits are those of lists of ids, else of the folders `train`, `validation` and `test`, below
    which ids begin, else of the table's column `split`, else a hash of the id shares videos out.
    `validation` and `test` are drawn out of the training videos where nothing names them.

    Knobs:
        dir: folder of the arrays, at any depth.
        labels: csv or parquet of labels; none: labels.csv or labels.parquet in the folder, else
            JSON beside the arrays.
        vocabulary: names of classes, as a csv of index and name or a text of a name a line; none:
            classes.csv or classes.txt in the folder, else the labels themselves, sorted.
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

    def splits(self, label_kind: LabelKind = "multi-label") -> Splits:
        """Opens all arrays; raises `DataError` for anything that the user can mend.

        label_kind: single-label data has exactly one label a video.
        """
        self.check()
        opened = _Folder(self, label_kind)
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
            raise DataError("no data was named: give --data-dir FOLDER")
        if self.ids and self.split_by not in ("auto", "lists"):
            raise DataError(
                f"data.ids names the videos of each split, and data.split_by is {self.split_by}:"
                " give one of the two"
            )
        if self.split_by == "lists" and not self.ids:
            raise DataError("data.split_by is lists, and data.ids names no folder of lists")


class _Folder:
    """A folder that is being opened: what was found, and what is wrong with it."""

    def __init__(self, source: NpySource, label_kind: LabelKind) -> None:
        self._source, self._label_kind = source, label_kind
        self._root = expanded(source.dir)
        self._faults = Faults()
        self._told: set[str] = set()
        self._require_folder()
        self._table = _table(self._root, source.labels)
        self._split_by = self._way()
        self._paths, self._named = self._found()

    def videos(self) -> NpyVideos:
        """Opens all that can be used.

        Raises `DataError` where nothing can be, or something cannot and is not to be skipped.
        """
        arrays = self._alike(self._opened())
        rows = self._labelled(arrays)
        classes = classes_of(
            (label for row in rows.values() for label in row.labels),
            _names(self._root, self._source.vocabulary),
            self._source.classes,
        )
        usable = sorted(
            name for name in arrays if name in rows and self._is_usable(rows[name], classes)
        )
        skipped = self._faults.settle(self._root, skip=self._source.skip_bad_records)
        if not usable:
            raise DataError(f"{self._root}: none of its {len(self._paths):,} arrays can be used")
        if self._split_by == "column":
            self._named |= {name: rows[name].split for name in usable}
        self._require_meaning(arrays[usable[0]])
        return NpyVideos(
            [arrays[name] for name in usable],
            usable,
            _labels([rows[name].labels for name in usable], classes),
            class_names=classes.names,
            codec=replace(AS_STORED, scale=self._source.scale, offset=self._source.offset),
            skipped=skipped,
        )

    def shared(self, videos: NpyVideos) -> Three:
        """Shares the videos out to the three splits."""
        source = self._source
        if self._split_by == "lists":
            return load_ids(videos.ids, expanded(source.ids))
        of = torch.tensor([NAMES.index(self._named.get(each) or "train") for each in videos.ids])
        own = [(of == number).nonzero().flatten() for number in range(len(NAMES))]
        named = set(self._named.values())
        shares = source.validation_share, source.test_share
        return drawn_where_unnamed(videos.ids, own, named, *shares, seed=source.split_seed)

    def _require_folder(self) -> None:
        if not self._root.is_dir():
            raise DataError(f"{self._root}: there is no such folder")

    def _way(self) -> SplitBy:
        """Returns how videos are shared out; raises `DataError` for a way that is not there."""
        by, has_column = self._source.split_by, self._table is not None and self._table[1]
        folders = [name for name in NAMES if (self._root / name).is_dir()]
        has_folders = "train" in folders and len(folders) > 1
        if by == "folders" and not has_folders:
            raise DataError(
                f"{self._root}: data.split_by is folders, and there is no train and test"
            )
        if by == "column" and not has_column:
            raise DataError(f"{self._root}: data.split_by is column, and no table has one 'split'")
        if by != "auto":
            return by
        if self._source.ids:
            return "lists"
        return "folders" if has_folders else "column" if has_column else "hash"

    def _found(self) -> tuple[dict[str, str], dict[str, str]]:
        """Finds all arrays: the path of each id, and its split where a folder says it."""
        paths: dict[str, str] = {}
        named: dict[str, str] = {}
        count = 0
        for path in _files(self._root, ".npy"):
            count += 1
            name, split = self._relative(path.with_suffix("")), ""
            if self._split_by == "folders":
                split, _, name = name.partition("/")
                if split not in NAMES or not name:
                    self._faults.add(
                        self._relative(path), "it is in none of the folders train, validation, test"
                    )
                    continue
            if not _is_text(name):
                self._faults.add(name, "its name is not one line of printable text")
            elif name in paths:
                self._faults.add(name, "its id occurs before", str(path))
            else:
                paths[name] = str(path)
                named |= {name: split} if split else {}
        if not count:
            raise DataError(f"{self._root}: no *.npy in this folder or below it")
        return paths, named

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _opened(self) -> dict[str, NpyArray]:
        """Reads all headers, and all values where they are to be checked."""
        source = self._source
        check = source.check_values or source.skip_bad_records
        items = list(self._paths.items())
        parts = [items[start : start + _FILES] for start in range(0, len(items), _FILES)]
        arrays: dict[str, NpyArray] = {}

        def looked(part: Sequence[tuple[str, str]]) -> list[NpyArray | UnusableArrayError]:
            return [_looked(path, check) for _, path in part]

        with ThreadPoolExecutor(_THREADS) as pool:
            for part, found in zip(parts, pool.map(looked, parts), strict=True):
                for (name, _), each in zip(part, found, strict=True):
                    if isinstance(each, NpyArray):
                        arrays[name] = each
                    else:
                        self._faults.add(name, each.reason, each.detail)
        return arrays

    def _alike(self, arrays: Mapping[str, NpyArray]) -> dict[str, NpyArray]:
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

    def _labelled(self, arrays: Mapping[str, NpyArray]) -> dict[str, LabelRow]:
        """Returns what is said of each id, by the table or beside the array."""
        rows = self._of_table() if self._table else self._beside()
        for name in sorted(rows.keys() - self._paths.keys()):
            self._faults.add(name, "it has labels and no array")
        for name in sorted(arrays.keys() - rows.keys() - self._told):
            self._faults.add(name, "it has an array and no labels")
        return rows

    def _of_table(self) -> dict[str, LabelRow]:
        rows: dict[str, LabelRow] = {}
        for row in self._table[0] if self._table else ():
            if row.id in rows:
                self._faults.add(row.id, "its id occurs before", "in the table of labels")
            else:
                rows[row.id] = row
        return rows

    def _beside(self) -> dict[str, LabelRow]:
        """Reads the JSON beside each array; one without an array is a fault if it has labels."""
        rows: dict[str, LabelRow] = {}
        files = {str(path): path for path in _files(self._root, ".json")}
        for name, path in self._paths.items():
            beside = files.pop(path.removesuffix(".npy") + ".json", None)
            if beside is None:
                continue
            try:
                rows[name] = LabelRow(name, labels_beside(beside))
            except DataError as error:
                why = str(error).removeprefix(f"{beside}: ")
                self._faults.add(name, "the JSON beside its array cannot be used", why)
                self._told.add(name)
        for other in files.values():
            if not other.with_suffix(".npy").exists():
                with suppress(DataError):  # any other JSON
                    labels_beside(other)
                    self._faults.add(self._relative(other), "it has labels and no array")
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

    def _require_meaning(self, array: NpyArray) -> None:
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


def _files(root: Path, suffix: str) -> Iterator[Path]:
    """Yields files by their ending, but hidden ones.

    A folder that is reached in several ways, through links, is entered once. Raises `DataError`.
    """
    entered: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=_refuse):
        about = os.stat(folder)
        if (about.st_dev, about.st_ino) in entered:
            folders.clear()
            continue
        entered.add((about.st_dev, about.st_ino))
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        yield from (
            Path(folder, name)
            for name in sorted(files)
            if name.endswith(suffix) and not name.startswith(".")
        )


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename}: cannot be looked into: {error.strerror}") from error


def _looked(path: str, check: bool) -> NpyArray | UnusableArrayError:
    """Returns what is known of an array, or why it cannot be used.

    check: look at its values, too.
    """
    try:
        array = NpyArray.of(path)
        if check:
            array.require_numbers()
    except UnusableArrayError as error:
        return error
    return array


def _labels(each: Sequence[Sequence[str]], classes: Classes) -> Labels:
    counts = torch.tensor([0, *map(len, each)])
    flat = [sorted(classes.numbers[label] for label in labels) for labels in each]
    return Labels(
        counts.cumsum(0), torch.tensor([number for row in flat for number in row]), classes.count
    )


def _is_text(name: str) -> bool:
    return name.isprintable() and name == name.strip()
