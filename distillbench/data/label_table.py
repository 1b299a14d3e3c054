"""The labels of videos as a table or as JSON has them, and the classes that they are."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from distillbench.data.bounds import MOST_CLASSES
from distillbench.data.naming import enumerated
from distillbench.data.vocabulary import read_vocabulary
from distillbench.errors import DataError

_COLUMNS = ("id", "labels", "split")
_NUMBER = re.compile(r"-?[0-9]{1,18}")


class LabelRow(NamedTuple):
    """What a table says of one video.

    labels: names or numbers of classes, each once.
    split: its split; empty where the table has no such column.
    """

    id: str
    labels: tuple[str, ...]
    split: str = ""


@dataclass(frozen=True)
class Classes:
    """What labels as text mean.

    numbers: the class of each label that is one.
    names: C names, or None where labels are numbers that nothing names.
    """

    numbers: Mapping[str, int]
    count: int
    names: Sequence[str] | None


def read_label_table(path: Path) -> tuple[list[LabelRow], bool]:
    """Reads a csv or parquet of `id`, `labels` and perhaps `split`; tells whether it has splits.

    Labels are names or numbers, with `;` between them; a column of a parquet may hold lists. The
    case of columns' names does not matter. Raises `DataError`.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise DataError(f"{path}: a table of labels is .csv or .parquet")
    columns, rows = (_csv if suffix == ".csv" else _parquet)(path)
    if "id" not in columns or "labels" not in columns:
        raise DataError(
            f"{path}: a table of labels needs the columns 'id' and 'labels'; found"
            f" {enumerated(list(columns)) or 'none'}"
        )
    found = [
        LabelRow(
            cell_text(row.get("id")), labels_of(row.get("labels")), cell_text(row.get("split"))
        )
        for row in rows
    ]
    if not found:
        raise DataError(f"{path}: this table of labels has no row")
    return found, "split" in columns


def labels_beside(name: str, text: bytes) -> LabelRow:
    """Parses JSON with a list `labels` and perhaps a `split`; raises `DataError` for any other.

    name: the id of the video that it is about.
    """
    try:
        about = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"cannot be read: {error}") from error
    labels = about.get("labels") if isinstance(about, dict) else None
    if not isinstance(labels, list) or not all(type(each) in (str, int) for each in labels):
        raise DataError("has no list 'labels' of names or numbers")
    split = about.get("split", "")
    if not isinstance(split, str):
        raise DataError("its 'split' is no text")
    return LabelRow(name, labels_of(labels), split.strip())


def read_class_names(path: Path) -> list[str]:
    """Reads a csv as `read_vocabulary` does, or a text with a name a line; raises `DataError`."""
    if path.suffix.lower() == ".csv":
        names = read_vocabulary(path)
    else:
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: these names of classes cannot be read: {error}") from error
        names = [line.strip() for line in lines if line.strip()]
    if not names or len(set(names)) < len(names):
        raise DataError(f"{path}: names of classes must be different, and at least one")
    return names


def classes_of(labels: Iterable[str], names: Sequence[str] | None, count: int | None) -> Classes:
    """Finds what labels mean: with names, their places among them; else numbers, else names.

    Labels that are all numbers are the classes' own, unless all of them are among the names.

    count: how many classes there are; None: the names', or one more than the highest number.
    Raises `DataError` where the number of classes and their names disagree.
    """
    every = set(labels)
    are_numbers = all(_NUMBER.fullmatch(each) for each in every)
    if names is None and not are_numbers:
        names = sorted(every)
    if names is not None and count not in (None, len(names)):
        raise DataError(f"classes is {count}, and {len(names)} classes are named")
    numbered = {name: number for number, name in enumerate(names or ())}
    if are_numbers and not every <= numbered.keys():
        given = {each: int(each) for each in every}
        most = count or (len(names) if names else MOST_CLASSES)
        numbers = {each: number for each, number in given.items() if 0 <= number < most}
        return Classes(
            numbers, len(names or ()) or count or max(numbers.values(), default=-1) + 1, names
        )
    return Classes(
        {each: numbered[each] for each in every if each in numbered}, len(numbered), names
    )


def _csv(path: Path) -> tuple[Sequence[str], Iterator[Mapping[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or ()]
            return rows.fieldnames, iter(list(rows))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: this table of labels cannot be read: {error}") from error


def _parquet(path: Path) -> tuple[Sequence[str], Iterator[Mapping[str, Any]]]:
    import pyarrow as pa  # takes a third of a second, and only this format needs it
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = {str(name).strip().lower(): name for name in file.schema_arrow.names}
            wanted = [name for name in _COLUMNS if name in names]
            table = file.read([names[name] for name in wanted])
        cells = [table[names[name]].to_pylist() for name in wanted]
    except (OSError, ValueError, NotImplementedError, pa.ArrowException) as error:
        raise DataError(f"{path}: this table of labels cannot be read: {error}") from error
    rows = (dict(zip(wanted, row, strict=True)) for row in zip(*cells, strict=True))
    return list(names), rows


def labels_of(value: object) -> tuple[str, ...]:
    """Returns the labels of a cell, each once: a list, or text with `;` between labels."""
    each = value if isinstance(value, list) else cell_text(value).split(";")
    return tuple(dict.fromkeys(text for text in map(cell_text, each) if text))


def cell_text(value: object) -> str:
    """Writes a cell; numbers of a column with gaps, which are floating point, as they were."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()
