"""Reads anyone's predictions and labels.

| suffix | predictions | labels | |---|---|---| | `.parquet`, a pair a row | `id`, `class`, `score`
| `id`, `class` | | `.parquet`, a video a row | `id`, `scores` (a list: every class in order) |
`id`, `labels` (a list of class numbers) | | `.npz` | `ids` (V,), `scores` (V, C) | `ids` (V,),
`labels` (V, C) of 0 and 1 | | `.csv` | `VideoId`, `LabelConfidencePairs` (Kaggle: `class score
...`) | `VideoId`, `Labels` (`class ...`) |

In the form of a pair a row, a null class names a video without any. Classes are numbers from 0.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from distillbench.errors import DataError

Kind = Literal["predictions", "labels"]

_COLUMNS: dict[Kind, tuple[str, ...]] = {
    "predictions": ("id", "class", "score"),
    "labels": ("id", "class"),
}
_LISTS: dict[Kind, str] = {"predictions": "scores", "labels": "labels"}
_CELLS: dict[Kind, str] = {"predictions": "LabelConfidencePairs", "labels": "Labels"}


@dataclass(frozen=True)
class Table:
    """The scores of V videos in a file, as N pairs of video and class or as a whole matrix.

    ids: (V) unique.
    rows, classes: (N,) int64.
    scores: (N,) float32, ones for labels.
    matrix: (V, C) float32, or None; there are no pairs where it is given.
    width: C, or None where the file does not tell.
    """

    path: Path
    ids: Sequence[str]
    rows: NDArray[np.int64]
    classes: NDArray[np.int64]
    scores: NDArray[np.float32]
    matrix: NDArray[np.float32] | None = None
    width: int | None = None


def read_table(path: Path, kind: Kind) -> Table:
    """Reads a file by its suffix.

    Raises DataError where it is missing, damaged, of an unknown suffix or without a column that it
    needs, and where an id or a pair is there twice, a class is not a number from 0, or a score is
    not a number.
    """
    readers: dict[str, Callable[[Path, Kind], Table]] = {
        ".parquet": _parquet,
        ".npz": _npz,
        ".csv": _csv,
    }
    if path.suffix not in readers:
        raise DataError(
            f"{path}: {kind} are read from {', '.join(readers)}; '{path.suffix}' is none of them"
        )
    if not path.is_file():
        raise DataError(f"{path}: no such file; give a file of {kind}")
    table = readers[path.suffix](path, kind)
    _check(table)
    return table


def _check(table: Table) -> None:
    if len(table.ids) == 0:
        raise DataError(f"{table.path}: holds no video")
    seen, counts = np.unique(np.asarray(table.ids, dtype=str), return_counts=True)
    if len(seen) < len(table.ids):
        twice = seen[counts > 1]
        raise DataError(
            f"{table.path}: {len(twice)} ids are there more than once, the first of them"
            f" '{twice[0]}'"
        )
    nan = np.flatnonzero(np.isnan(table.scores))
    bad_row = int(table.rows[nan[0]]) if len(nan) else None
    if table.matrix is not None:
        nan_rows = np.flatnonzero(np.isnan(table.matrix).any(axis=1))
        bad_row = int(nan_rows[0]) if len(nan_rows) else None
    if bad_row is not None:
        raise DataError(
            f"{table.path}: video '{table.ids[bad_row]}' has a score that is not a number"
        )
    negative = np.flatnonzero(table.classes < 0)
    if len(negative):
        place = negative[0]
        raise DataError(
            f"{table.path}: video '{table.ids[table.rows[place]]}' has the class"
            f" {table.classes[place]}; classes are numbered from 0"
        )
    order = np.lexsort((table.classes, table.rows))
    same = (np.diff(table.rows[order]) == 0) & (np.diff(table.classes[order]) == 0)
    if same.any():
        place = order[np.flatnonzero(same)[0]]
        raise DataError(
            f"{table.path}: video '{table.ids[table.rows[place]]}' has the class"
            f" {table.classes[place]} more than once"
        )


def _pairs(
    path: Path,
    ids: Sequence[str],
    rows: Any,
    classes: Any,
    scores: Any | None = None,
    width: int | None = None,
) -> Table:
    rows, classes = np.asarray(rows, dtype=np.int64), np.asarray(classes, dtype=np.int64)
    values = (
        np.ones(len(rows), np.float32) if scores is None else np.asarray(scores, dtype=np.float32)
    )
    return Table(path, ids, rows, classes, values, width=width)


def _matrix(path: Path, ids: Sequence[str], scores: NDArray[Any]) -> Table:
    nothing = np.empty(0, np.int64)
    # Torch warns of read-only memory.
    matrix = np.require(scores, np.float32, ["C_CONTIGUOUS", "WRITEABLE"])
    return Table(path, ids, nothing, nothing, np.empty(0, np.float32), matrix, matrix.shape[1])


# ---------------------------------------------------------------------------------------------- npz


def _npz(path: Path, kind: Kind) -> Table:
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = sorted(archive.files)
            _require(path, found, ("ids", _LISTS[kind]), "arrays")
            ids, values = archive["ids"], archive[_LISTS[kind]]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not an .npz archive of plain arrays: {error}") from error
    if ids.ndim != 1 or values.ndim != 2 or len(ids) != len(values):
        raise DataError(
            f"{path}: ids {ids.shape} and {_LISTS[kind]} {values.shape} must be (V,) and (V, C)"
        )
    if values.dtype.kind not in "biuf":
        raise DataError(f"{path}: {_LISTS[kind]} must be numbers; they are {values.dtype}")
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in ids.tolist()]
    if kind == "predictions":
        return _matrix(path, names, values)
    if ((values != 0) & (values != 1)).any():
        raise DataError(f"{path}: labels must be 0 or 1; there are others")
    rows, classes = np.nonzero(values)
    return _pairs(path, names, rows, classes, width=values.shape[1])


def _require(path: Path, found: Sequence[str], wanted: Sequence[str], what: str) -> None:
    missing = [name for name in wanted if name not in found]
    if missing:
        raise DataError(
            f"{path}: {what} {', '.join(missing)} missing; found {', '.join(found) or 'none'}"
        )


# ---------------------------------------------------------------------------------------------- csv


def _csv(path: Path, kind: Kind) -> Table:
    ids: list[str] = []
    cells: list[list[str]] = []
    for line, name, cell in _csv_rows(path, kind):
        words = cell.split()
        if kind == "predictions" and len(words) % 2:
            raise DataError(
                f"{path}: line {line}: '{name}' has a class without a score; give pairs: class"
                " score ..."
            )
        ids.append(name)
        cells.append(words)
    step = 2 if kind == "predictions" else 1
    rows = np.repeat(np.arange(len(ids)), [len(words) // step for words in cells])
    classes = _numbers(path, ids, [words[::step] for words in cells], np.int64)
    scores = (
        _numbers(path, ids, [words[1::2] for words in cells], np.float32) if step == 2 else None
    )
    return _pairs(path, ids, rows, classes, scores)


def _csv_rows(path: Path, kind: Kind) -> Iterator[tuple[int, str, str]]:
    wanted = ("VideoId", _CELLS[kind])
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            _require(path, list(reader.fieldnames or ()), wanted, "columns")
            for row in reader:
                yield reader.line_num, row["VideoId"], row[wanted[1]] or ""
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a readable .csv file: {error}") from error


def _numbers(
    path: Path, ids: Sequence[str], cells: Sequence[Sequence[str]], dtype: type[np.generic]
) -> NDArray[Any]:
    try:
        return np.array([word for words in cells for word in words], dtype=str).astype(dtype)
    except ValueError:
        for name, words in zip(ids, cells, strict=True):
            for word in words:
                try:
                    np.array(word).astype(dtype)
                except ValueError as error:
                    what = "class number" if dtype is np.int64 else "score"
                    raise DataError(f"{path}: video '{name}': '{word}' is not a {what}") from error
        raise


# ------------------------------------------------------------------------------------------ parquet


def _parquet(path: Path, kind: Kind) -> Table:
    import pyarrow as pa  # takes a third of a second, and only this format needs it
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        names = table.column_names
        wanted = ("id", _LISTS[kind]) if _LISTS[kind] in names else _COLUMNS[kind]
        _require(path, names, wanted, "columns")
        if table["id"].null_count:
            raise DataError(f"{path}: {table['id'].null_count} rows have no id")
        if _LISTS[kind] in names:
            return _parquet_lists(path, kind, table)
        encoded = table["id"].cast(pa.string()).combine_chunks().dictionary_encode()
        offered = table["class"].is_valid().to_numpy()
        rows = encoded.indices.to_numpy()[offered]
        classes = table["class"].drop_null().cast(pa.int64()).to_numpy()
        scores = (
            table["score"].cast(pa.float32()).to_numpy()[offered] if kind == "predictions" else None
        )
        return _pairs(path, encoded.dictionary.to_pylist(), rows, classes, scores)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a .parquet file of {kind}: {error}") from error


def _parquet_lists(path: Path, kind: Kind, table: Any) -> Table:
    import pyarrow as pa

    ids = table["id"].cast(pa.string()).to_pylist()
    lists = table[_LISTS[kind]].combine_chunks()
    if not hasattr(lists, "value_lengths"):
        raise DataError(f"{path}: the column {_LISTS[kind]} must hold lists; it holds {lists.type}")
    lengths = lists.value_lengths().fill_null(0).to_numpy()
    values = lists.flatten()
    if kind == "labels":
        if values.null_count:
            raise DataError(f"{path}: {values.null_count} labels are null")
        return _pairs(
            path, ids, np.repeat(np.arange(len(ids)), lengths), values.cast(pa.int64()).to_numpy()
        )
    if len(lengths) and (lengths != lengths[0]).any():
        odd = int(np.flatnonzero(lengths != lengths[0])[0])
        raise DataError(
            f"{path}: video '{ids[odd]}' has {lengths[odd]} scores and the first has {lengths[0]}"
        )
    scores = values.cast(pa.float32()).to_numpy(zero_copy_only=False)
    return _matrix(path, ids, scores.reshape(len(ids), -1))
