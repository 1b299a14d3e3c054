"""Your own features in HDF5 files: one array (frames, numbers) a video."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from distillbench import hookimpl
from distillbench.data import (
    ArrayFormat,
    ArrayVideos,
    Faults,
    FeatureSource,
    Found,
    StoredArray,
    UnusableArrayError,
    files_below,
    labels_of,
    require_finite,
    require_frames,
    sampled,
    splits_of_files,
    warn_of_single_labels,
)
from distillbench.errors import DataError
from distillbench.interfaces import DataSet, LabelKind, Splits

if TYPE_CHECKING:
    import h5py

_NO_HDF5 = "it is no HDF5 file, or it is damaged"
_UNREADABLE = "it cannot be read"
_ALLOCATED = 2  # h5py.h5d.SPACE_STATUS_ALLOCATED
_OPEN_FILES = 64


@dataclass(frozen=True, slots=True)
class _Hdf5Array(StoredArray):
    """An array of an HDF5 file, which lies frame after frame in it or in chunks.

    name: of the array within its file.
    offset: -1 where it lies in chunks.
    """

    name: str

    def require_numbers(self) -> None:
        """Reads all frames; raises `UnusableArrayError` for a number that is not finite."""
        try:
            with _library().File(self.path, "r") as file:
                require_finite(f"{self.path}: {self.name}", file[self.name][()])
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            raise UnusableArrayError(self.path, _UNREADABLE, str(error)) from error


class _ChunkedVideos(ArrayVideos):
    """Arrays of HDF5 files that lie in chunks, which are read whole for any frame in them."""

    sparse = False

    def __init__(self, arrays: Sequence[_Hdf5Array], *given: Any, **named: Any) -> None:
        super().__init__(arrays, *given, **named)
        self._named = arrays
        self._open: dict[tuple[int, str], h5py.File] = {}

    def _where(self, video: int) -> str:
        return f"{self._named[video].path}: {self._named[video].name}"

    def _read(
        self,
        which: NDArray[np.int64],
        times: NDArray[np.int64],
        kept: NDArray[np.bool_],
        out: NDArray[Any],
    ) -> None:
        for row, video in enumerate(which.tolist()):
            if not kept[row].any():
                continue
            wanted, places = np.unique(times[row, kept[row]], return_inverse=True)
            try:
                out[row, kept[row]] = self._frames(video, wanted)[places]
            except (OSError, KeyError, RuntimeError, ValueError) as error:
                raise DataError(f"{self._where(video)}: cannot be read: {error}") from error

    def _frames(self, video: int, wanted: NDArray[np.int64]) -> NDArray[Any]:
        """Reads frames, ascending, in one call: each run of them is one slab."""
        h5 = _library()
        array = self._named[video]
        opened = h5.h5d.open(self._file(array.path).id, array.name.encode())
        space = opened.get_space()
        space.select_none()
        for run in np.split(wanted, np.flatnonzero(np.diff(wanted) > 1) + 1):
            first, count = (int(run[0]), 0), (len(run), array.width)
            space.select_hyperslab(first, count, op=h5.h5s.SELECT_OR)
        read = np.empty((len(wanted), array.width), array.dtype)
        opened.read(h5.h5s.create_simple(read.shape), space, read)
        return read

    def _file(self, path: str) -> h5py.File:
        """Returns an open file, of this process: a forked one must not use its parent's."""
        key = os.getpid(), path
        if key not in self._open:
            if len(self._open) >= _OPEN_FILES:
                self._open.pop(next(iter(self._open)))
            self._open[key] = _library().File(path, "r")
        return self._open[key]


class Hdf5Format(ArrayFormat):
    """Arrays of one HDF5 file, or of all in a folder.

    An array's id is its path within its file, or the file's name where the array that is named is
    the file's own. Its labels and its split are attributes of the array, or of the group that it is
    in; names of classes are the attribute `classes` of the file. Splits by folders are also those
    of files such as `train.h5`.
    """

    nothing: ClassVar[str] = "no array in a *.h5, *.hdf5 or *.hdf file of this folder or below it"

    def __init__(self, array: str) -> None:
        """array: name of the array in every group that is a video; none: all arrays are videos."""
        self._array = array.strip("/")

    def found(
        self, root: Path, *, labels: bool, check_values: bool, faults: Faults
    ) -> Iterator[Found]:
        """Looks at every array of every file, and at all values where they are to be checked."""
        _library()
        self.class_names = None
        paths = files_below(root, ".h5", ".hdf5", ".hdf")
        for path, (_, prefix) in splits_of_files(paths, root).items():
            own = path.relative_to(root).as_posix()
            try:
                for each in self._of_file(path, own, labels, check_values):
                    yield each._replace(name=prefix + each.name)
            except (OSError, RuntimeError, KeyError, ValueError) as error:
                reason = str(error).partition("(")[2].rpartition(")")[0] or str(error)
                yield Found(own, str(path), UnusableArrayError(str(path), _NO_HDF5, reason))

    def _of_file(self, path: Path, own: str, labels: bool, check_values: bool) -> Iterator[Found]:
        with _library().File(path, "r") as file:
            self._note_classes(path, file)
            sample = sampled(str(path))
            for name in self._names(file):
                video = name.removesuffix(f"/{self._array}") if self._array else name
                if name == self._array:  # a file for each video
                    video = own.rpartition(".")[0]
                where = f"{path}: {name}"
                try:
                    array = _looked_at(file[name], str(path), name, sample)
                    if check_values:
                        array.require_numbers()
                    said = _said(file[name], where) if labels else (None, "")
                    yield Found(video, where, array, *said)
                except UnusableArrayError as error:
                    yield Found(video, where, error)

    def _names(self, file: h5py.File) -> list[str]:
        """Lists the arrays of a file that are videos, in alphabetical order."""
        found: list[str] = []
        arrays = _library().Dataset
        file.visititems(lambda name, each: found.append(name) if isinstance(each, arrays) else None)
        if self._array:
            found = [name for name in found if f"/{name}".endswith(f"/{self._array}")]
        return sorted(found)

    def _note_classes(self, path: Path, file: h5py.File) -> None:
        names = list(labels_of(_plain(file.attrs["classes"]))) if "classes" in file.attrs else None
        if names and self.class_names not in (None, names):
            raise DataError(f"{path}: its attribute 'classes' is not that of the files before it")
        self.class_names = names or self.class_names

    def reader(self, arrays: Sequence[StoredArray]) -> type[ArrayVideos]:
        """Returns what maps arrays where all lie in one piece, else what reads them in chunks."""
        whole = all(each.offset >= 0 for each in arrays)
        return super().reader(arrays) if whole else _ChunkedVideos


def _library() -> Any:
    try:
        import h5py  # takes a fifth of a second, and only this format needs it
    except ImportError as error:
        raise DataError(
            "HDF5 files are read by h5py, which is not installed: pip install 'distillbench[hdf5]'"
        ) from error
    return h5py


def _looked_at(array: h5py.Dataset, path: str, name: str, sample: int) -> _Hdf5Array:
    where = f"{path}: {name}"
    if array.shape is None:
        raise UnusableArrayError(where, "it has no frame")
    require_frames(where, array.shape, array.dtype)
    frames, width = array.shape
    return _Hdf5Array(path, _offset(array), frames, width, array.dtype.str, sample, name)


def _offset(array: h5py.Dataset) -> int:
    """Returns where in its file an array begins that lies there in one piece; else -1."""
    h5 = _library()
    in_one = array.id.get_create_plist().get_layout() == h5.h5d.CONTIGUOUS
    if not in_one or array.external or array.id.get_space_status() != _ALLOCATED:
        return -1
    offset = array.id.get_offset()
    return -1 if offset is None else int(offset)


def _said(array: h5py.Dataset, where: str) -> tuple[tuple[str, ...] | None, str]:
    """Returns the labels and the split that an array's attributes, or its group's, hold."""
    said = {**array.parent.attrs, **array.attrs}
    try:
        labels = labels_of(_plain(said["labels"])) if "labels" in said else None
        split = _plain(said.get("split", ""))
    except (TypeError, ValueError) as error:
        raise UnusableArrayError(where, "its attributes cannot be used", str(error)) from error
    if not isinstance(split, str):
        raise UnusableArrayError(where, "its attributes cannot be used", "'split' is no text")
    return labels, split


def _plain(value: object) -> object:
    """Returns an attribute as text, a number or a list of these; raises `TypeError`."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return value.decode()
    if type(value) in (str, int):
        return value
    raise TypeError("they are no names or numbers")


class Hdf5(DataSet):
    """Your own features in HDF5: one file or a folder of them, an array a video.

    A video has any number of labels, at least one; `hdf5-single-label` is for videos of one each.

    Labels stand in labels.csv, or in attributes `labels` of arrays. Arrays that lie in one piece
    are read by the frame, those in chunks by the chunk.

    Knobs:
        array: name of the array in every group that is a video; none: every array is a video.
    """

    def __init__(self, *, array: str = "", arrays: FeatureSource = FeatureSource()) -> None:
        self._form, self._arrays = Hdf5Format(array), arrays

    def splits(self) -> Splits:
        """Opens the arrays; warns where every video has one label."""
        splits = self._arrays.splits(self._form, self.label_kind)
        warn_of_single_labels(splits.train, "hdf5-single-label")
        return splits


class Hdf5SingleLabel(DataSet):
    """HDF5 files as of `hdf5`, whose videos have exactly one label each.

    Networks are trained and judged as classifiers of one class a video.

    Knobs:
        array: name of the array in every group that is a video; none: every array is a video.
    """

    label_kind: ClassVar[LabelKind] = "single-label"

    def __init__(self, *, array: str = "", arrays: FeatureSource = FeatureSource()) -> None:
        self._form, self._arrays = Hdf5Format(array), arrays

    def splits(self) -> Splits:
        """Opens the arrays; a video of several labels is an error."""
        return self._arrays.splits(self._form, self.label_kind)


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `hdf5` and `hdf5-single-label`."""
    return {"hdf5": Hdf5, "hdf5-single-label": Hdf5SingleLabel}
