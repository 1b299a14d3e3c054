"""Videos that are rows of Arrow files: frames are a column of lists of lists of numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from distillbench.data.array_format import ArrayFormat, Found, files_below, splits_of_files
from distillbench.data.faults import Faults
from distillbench.data.label_table import cell_text, labels_of
from distillbench.data.naming import enumerated
from distillbench.data.stored_arrays import (
    DTYPES,
    StoredArray,
    UnusableArrayError,
    require_frames,
    sampled,
)
from distillbench.data.stored_videos import Ints
from distillbench.errors import DataError

_IDS, _LABELS, _SPLITS = ("id", "video_id"), ("labels", "label"), ("split",)


@dataclass(frozen=True, kw_only=True)
class RowColumns:
    """Names the columns of tables whose rows are videos.

    Knobs:
        id_column: of ids; none: id or video_id, else rows are numbered.
        frames_column: of frames, lists of lists of numbers; none: the only column of such.
        labels_column: of names or numbers of classes, lists or text with `;` between them; none:
            labels or label.
        split_column: of the split; none: split.
    """

    id_column: str = ""
    frames_column: str = ""
    labels_column: str = ""
    split_column: str = ""


class ColumnNames(NamedTuple):
    """The columns of one file; empty where it has none."""

    ids: str
    frames: str
    labels: str
    splits: str


class _Rows(NamedTuple):
    """Where the frames of some rows lie, (R,) each.

    fault: why a row cannot be used; empty where it can.
    """

    offsets: Ints
    frames: Ints
    widths: Ints
    dtype: np.dtype[Any]
    fault: list[str]


class ArrowFormat(ArrayFormat):
    """Arrays that are rows of Arrow files, one file or all in a folder, which are mapped.

    A row's id is that of its column. The split is that of its column, or else of its file: files of
    a folder `train`, `validation` or `test`, or such as `NAME-train.arrow` and
    `NAME-train-00000-of-00002.arrow`.
    """

    nothing: ClassVar[str] = "no row in a *.arrow of this folder or below it"
    suffixes: ClassVar[tuple[str, ...]] = (".arrow",)

    def __init__(self, columns: RowColumns, about: str = "") -> None:
        """columns: which columns hold what.

        about: the key under which the metadata of a file may describe features as JSON, and with
            them the names of classes: `{"info": {"features": {COLUMN: {"names": [...]}}}}`.
        """
        self._columns, self._about = columns, about.encode()

    def found(
        self, root: Path, *, labels: bool, check_values: bool, faults: Faults
    ) -> Iterator[Found]:
        """Looks at where every row's frames lie, and at all values where they are to be checked."""
        import pyarrow as pa  # takes a third of a second, and only tables need it

        self.class_names = None
        paths = (path for path in files_below(root, *self.suffixes) if _has_rows(path, root))
        number = Counter[str]()
        for path, (split, prefix) in splits_of_files(paths, root).items():
            try:
                for batch, columns, place in self._batches(path):
                    ids = self._ids(batch, columns, split, number[split])
                    number[split] += len(batch)
                    rows = _rows(batch.column(columns.frames), place)
                    for found in _found(batch, columns, rows, ids, place, labels, check_values):
                        yield found._replace(name=prefix + found.name)
            except (OSError, ValueError, NotImplementedError, pa.ArrowException) as error:
                why = UnusableArrayError(str(path), "it cannot be read as a table", str(error))
                yield Found(path.relative_to(root).as_posix(), str(path), why)
            except UnusableArrayError as error:
                yield Found(path.relative_to(root).as_posix(), str(path), error)

    def mapped(self, path: Path) -> Path:
        """Returns the Arrow file that a file is read as, which is the file itself."""
        return path

    def _batches(self, path: Path) -> Iterator[tuple[Any, ColumnNames, _Place]]:
        """Yields the batches of rows of a file, its columns, and where it lies in memory."""
        import pyarrow as pa

        file = self.mapped(path)
        with pa.memory_map(str(file)) as source:
            whole = source.read_buffer(source.size()) if source.size() else pa.py_buffer(b"")
            source.seek(0)
            place = _Place(str(file), whole.address, whole.size, sampled(str(file)))
            reader, batches = _opened(pa, source)
            columns = self.columns_of(path, reader.schema)
            self._note_classes(path, reader.schema, columns.labels)
            for batch in batches:
                batch.validate()  # that its buffers are as long as its rows need
                yield batch, columns, place

    def columns_of(self, path: Path, schema: Any) -> ColumnNames:
        """Returns the names of a file's columns; raises `DataError` where one is not there."""
        given, names = self._columns, list(schema.names)
        if len(set(names)) < len(names):
            raise UnusableArrayError(str(path), "two of its columns have one name")
        frames = (given.frames_column,) if given.frames_column else _frame_columns(schema)
        if len(frames) != 1:
            found = f"{len(frames)} columns" if frames else "no column"
            raise DataError(
                f"{path}: {found} of lists of lists of numbers, which frames are; set"
                f" data.frames_column to the right one of: {enumerated(names)}"
            )
        return ColumnNames(
            _named(path, names, "id", given.id_column, _IDS),
            _named(path, names, "frames", frames[0], ()),
            _named(path, names, "labels", given.labels_column, _LABELS),
            _named(path, names, "split", given.split_column, _SPLITS),
        )

    def _ids(self, batch: Any, columns: ColumnNames, split: str, before: int) -> list[str]:
        if columns.ids:
            return [cell_text(each) for each in _cells(batch, columns.ids)]
        prefix = f"{split}-" if split else ""
        return [f"{prefix}{before + row:08d}" for row in range(len(batch))]

    def _note_classes(self, path: Path, schema: Any, labels: str) -> None:
        """Notes the names of classes that the metadata of a schema has."""
        names = _class_names((schema.metadata or {}).get(self._about), labels)
        if names and self.class_names not in (None, names):
            raise DataError(f"{path}: it names other classes than the files before it")
        self.class_names = names or self.class_names


class _Place(NamedTuple):
    """A file that is mapped: from which address, how many bytes, and its checksum."""

    path: str
    address: int
    size: int
    sample: int


def _opened(pa: Any, source: Any) -> tuple[Any, Iterable[Any]]:
    """Opens an Arrow file of either form; returns the reader and its batches."""
    try:
        reader = pa.ipc.open_file(source)
        return reader, (reader.get_batch(n) for n in range(reader.num_record_batches))
    except pa.ArrowInvalid:
        source.seek(0)
        reader = pa.ipc.open_stream(source)
        return reader, reader


def _found(
    batch: Any,
    columns: ColumnNames,
    rows: _Rows,
    ids: Sequence[str],
    place: _Place,
    labels: bool,
    check_values: bool,
) -> Iterator[Found]:
    """Yields the rows of a batch."""
    told = labels and columns.labels
    said = [labels_of(each) for each in _cells(batch, columns.labels)] if told else None
    splits = [cell_text(each) for each in _cells(batch, columns.splits)] if columns.splits else None
    for row, name in enumerate(ids):
        where = f"{place.path}: row of {name!r}"
        array: StoredArray | UnusableArrayError
        try:
            if rows.fault[row]:
                raise UnusableArrayError(where, rows.fault[row])
            frames, width = int(rows.frames[row]), int(rows.widths[row])
            require_frames(where, (frames, width), rows.dtype)
            offset = int(rows.offsets[row])
            array = StoredArray(place.path, offset, frames, width, rows.dtype.str, place.sample)
            if check_values:
                array.require_numbers()
        except UnusableArrayError as error:
            array = error
        yield Found(name, where, array, said[row] if said else None, splits[row] if splits else "")


def _cells(batch: Any, column: str) -> list[Any]:
    cells = batch.column(column)
    cells.validate(full=True)
    values: list[Any] = cells.to_pylist()
    return values


def _rows(column: Any, place: _Place) -> _Rows:
    """Finds where the frames of each row lie in a mapped file; raises `UnusableArrayError`."""
    outer = _storage(column)
    firsts, ends, inner = _bounds(outer, place)
    starts, stops, numbers = _bounds(_storage(inner), place)
    numbers = _storage(numbers)
    dtype = _dtype(numbers, place)
    values = numbers.buffers()[1]
    begin = values.address - place.address if values is not None else 0
    if values is not None and not 0 <= begin <= begin + values.size <= place.size:
        raise UnusableArrayError(
            place.path, "its columns are compressed; save it without compression"
        )
    held = 0 if values is None else values.size // dtype.itemsize - numbers.offset
    if (ends > len(starts)).any() or (stops > held).any():
        raise UnusableArrayError(place.path, "it is damaged", "a list goes beyond its column")
    frames = ends - firsts
    widths = stops - starts
    has_frames = frames > 0
    least = _of_rows(np.minimum, widths, firsts, ends)
    most = _of_rows(np.maximum, widths, firsts, ends)
    missing = _missing(outer, inner, numbers, firsts, ends, starts, stops)
    fault = [
        "a frame or a number of it is missing"
        if lost
        else "its frames differ in width"
        if low != high
        else ""
        for lost, low, high in zip(missing.tolist(), least.tolist(), most.tolist(), strict=True)
    ]
    base = np.zeros(len(frames), np.int64)
    base[has_frames] = starts[firsts[has_frames]]
    offsets = begin + (base + numbers.offset) * dtype.itemsize
    # A row without a frame has no width, which is not what is wrong with it.
    return _Rows(offsets, frames, np.where(has_frames, least, 1), dtype, fault)


def _storage(array: Any) -> Any:
    """Returns what an array of an extension type is stored as."""
    return getattr(array, "storage", array)


def _bounds(array: Any, place: _Place) -> tuple[Ints, Ints, Any]:
    """Returns where each list of an array begins and ends among the values, and the values."""
    import pyarrow as pa

    kind = array.type
    if pa.types.is_fixed_size_list(kind):
        ends = (array.offset + 1 + np.arange(len(array), dtype=np.int64)) * kind.list_size
        return ends - kind.list_size, ends, array.values
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        raise UnusableArrayError(
            place.path, "its frames are no lists of lists of numbers", str(kind)[:60]
        )
    if not len(array):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), array.values
    bounds = array.offsets.to_numpy().astype(np.int64)
    if bounds[0] < 0 or (np.diff(bounds) < 0).any():
        raise UnusableArrayError(place.path, "it is damaged", "its lists have no order")
    return bounds[:-1], bounds[1:], array.values


def _dtype(numbers: Any, place: _Place) -> np.dtype[Any]:
    import pyarrow as pa

    known = {
        pa.uint8(): "|u1",
        pa.float16(): "<f2",
        pa.float32(): "<f4",
        pa.float64(): "<f8",
    }
    if numbers.type not in known:
        raise UnusableArrayError(
            place.path,
            "its numbers are not uint8, float16, float32 or float64",
            str(numbers.type)[:60],
        )
    dtype = known[numbers.type]
    assert dtype in DTYPES
    return np.dtype(dtype)


def _of_rows(reduce: np.ufunc, widths: Ints, firsts: Ints, ends: Ints) -> Ints:
    """Reduces the widths of each row's frames; 0 for a row without a frame.

    Rows lie behind one another, so that each ends where the next one begins.
    """
    found = np.zeros(len(firsts), np.int64)
    has_frames = ends > firsts
    if has_frames.any():
        found[has_frames] = reduce.reduceat(widths[: int(ends.max())], firsts[has_frames])
    return found


def _missing(
    outer: Any, inner: Any, numbers: Any, firsts: Ints, ends: Ints, starts: Ints, stops: Ints
) -> NDArray[np.bool_]:
    """Tells which rows are null, or have a frame or a number that is, (R,)."""
    lost = np.zeros(len(outer), np.bool_)
    if outer.null_count:
        lost |= outer.is_null().to_numpy(zero_copy_only=False)
    nulls = np.zeros(len(starts) + 1, np.int64)
    if inner.null_count:
        nulls[1:] += inner.is_null().to_numpy(zero_copy_only=False)
    if numbers.null_count:
        seen = np.cumsum([0, *numbers.is_null().to_numpy(zero_copy_only=False)])
        nulls[1:] += seen[stops] - seen[starts]
    total = np.cumsum(nulls)
    return lost | (total[ends] > total[firsts])


def _frame_columns(schema: Any) -> tuple[str, ...]:
    """Returns the names of the columns of lists of lists of numbers."""
    import pyarrow as pa

    def is_list(kind: Any) -> bool:
        return bool(
            pa.types.is_list(kind)
            or pa.types.is_large_list(kind)
            or pa.types.is_fixed_size_list(kind)
        )

    def stored(kind: Any) -> Any:
        return getattr(kind, "storage_type", kind)

    def is_frames(kind: Any) -> bool:
        if not is_list(stored(kind)) or not is_list(stored(stored(kind).value_type)):
            return False
        number = stored(stored(kind).value_type).value_type
        return bool(pa.types.is_floating(number) or pa.types.is_integer(number))

    return tuple(field.name for field in schema if is_frames(field.type))


def _named(path: Path, names: Sequence[str], what: str, given: str, usual: Sequence[str]) -> str:
    """Returns the column that is named, or the first usual one that is there, or nothing."""
    if given and given not in names:
        raise DataError(
            f"{path}: data.{what}_column is {given!r}, and its columns are {enumerated(names)}"
        )
    return given or next((name for name in usual if name in names), "")


def _class_names(about: bytes | None, column: str) -> list[str] | None:
    try:
        features = json.loads(about or b"")["info"]["features"]
        found = features[column]
        found = found.get("feature", found)
        names = found["names"]
        return list(names) if names and all(isinstance(each, str) for each in names) else None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _has_rows(path: Path, root: Path) -> bool:
    """Tells whether a file of a folder holds videos.

    A table of labels does not, nor what is kept beside them of what was computed.
    """
    if path == root:
        return True
    return path != root / "labels.parquet" and not path.name.startswith("cache-")
