"""Your own features in tar files, as WebDataset writes them: an array a video."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from distillbench import hookimpl
from distillbench.data import (
    ArrayFormat,
    Faults,
    FeatureSource,
    Found,
    UnusableArrayError,
    files_below,
    labels_beside,
    labels_of,
    npy_within,
    splits_of_files,
    warn_of_single_labels,
)
from distillbench.errors import DataError
from distillbench.interfaces import DataSet, LabelKind, Splits

_NO_TAR = "it is no tar, or it is damaged"
_END = bytes(tarfile.BLOCKSIZE)
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_LARGEST_TEXT = 1 << 24  # bytes of a member that is read whole


class TarFormat(ArrayFormat):
    """Arrays `ID.npy` in uncompressed tar files, one or all in a folder, which are mapped.

    Labels and split of an array are those of `ID.json` beside it, or the class in `ID.cls`. Splits
    by folders are also those of files such as `train-0000.tar`.
    """

    nothing: ClassVar[str] = "no array in a *.tar of this folder or below it"

    def __init__(self, array: str) -> None:
        """array: the ending of members that are arrays, what follows the first dot of a name."""
        self._array = array.strip(".")

    def found(
        self, root: Path, *, labels: bool, check_values: bool, faults: Faults
    ) -> Iterator[Found]:
        """Reads the headers of every tar and array, and all values where they are to be checked."""
        for path, (_, prefix) in splits_of_files(files_below(root, ".tar"), root).items():
            try:
                for each in self._of_file(path, labels, check_values, faults):
                    yield each._replace(name=prefix + each.name)
            except (OSError, tarfile.TarError, ValueError, EOFError) as error:
                why = UnusableArrayError(str(path), _NO_TAR, str(error))
                yield Found(path.relative_to(root).as_posix(), str(path), why)

    def _of_file(
        self, path: Path, labels: bool, check_values: bool, faults: Faults
    ) -> Iterator[Found]:
        with path.open("rb") as file:
            if file.read(6).startswith(_COMPRESSED):
                raise ValueError("it is compressed; unpack it to a plain *.tar")

            def read(size: int, offset: int) -> bytes:
                file.seek(offset)
                return file.read(size)

            videos = _members(path)
            for name, members in videos.items():
                where = f"{path}: {name}"
                member = members.get(self._array)
                if member is None:
                    if labels and _said(members, read) is not None:
                        faults.add(name, "it has labels and no array")
                    continue
                try:
                    begin, size = member
                    array = npy_within(str(path), begin, size, read, where)
                    if check_values:
                        array.require_numbers()
                    said = _said(members, read, strict=True) if labels else None
                    yield Found(name, where, array, *(said or (None, "")))
                except UnusableArrayError as error:
                    yield Found(name, where, error)


Members = dict[str, tuple[int, int]]
"""By its ending, where each member of a video begins in its tar, and its size."""


def _members(path: Path) -> dict[str, Members]:
    """Lists the members of a tar by video; raises `TarError` or `ValueError` for a damaged one."""
    videos: dict[str, Members] = {}
    size = path.stat().st_size
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            if not member.isreg() or member.issparse():
                continue
            folder, slash, name = member.name.removeprefix("./").rpartition("/")
            key, _, ending = name.partition(".")
            if not key:  # hidden
                continue
            if member.offset_data + member.size > size:
                raise ValueError("it is cut short")
            video = videos.setdefault(f"{folder}{slash}{key}", {})
            if ending in video:
                raise ValueError(f"it has {member.name[:60]!r} twice")
            video[ending] = member.offset_data, member.size
        end = tar.offset
    with path.open("rb") as file:  # tarfile takes a damaged header for the end
        file.seek(end)
        if file.read(len(_END)) != _END:
            raise ValueError(f"there is no header and no end at byte {end}")
    return videos


def _said(
    members: Members, read: Callable[[int, int], bytes], *, strict: bool = False
) -> tuple[tuple[str, ...], str] | None:
    """Returns the labels and the split beside an array; None where nothing says them.

    strict: raise `UnusableArrayError` for what stands there and cannot be used.
    """
    for ending in ("json", "cls"):
        if ending not in members:
            continue
        begin, size = members[ending]
        text = read(min(size, _LARGEST_TEXT), begin)
        try:
            if ending == "cls":
                return labels_of(text.decode().strip()), ""
            row = labels_beside("", text)
            return row.labels, row.split
        except (DataError, UnicodeDecodeError) as error:
            if strict:
                reason = f"the {ending.upper()} beside its array cannot be used"
                raise UnusableArrayError(ending, reason, str(error)) from error
    return None


class WebDataset(DataSet):
    """Your own features in tar files: one or a folder of them, an array `ID.npy` a video.

    A video has any number of labels; `webdataset-single-label` is for videos of one each.

    Labels stand in labels.csv, in `ID.json` or in `ID.cls` beside each array. Tars are not
    compressed, so that arrays are read by the frame where they lie.

    Knobs:
        array: ending of the members that are arrays, what follows the first dot of their name.
    """

    def __init__(self, *, array: str = "npy", arrays: FeatureSource = FeatureSource()) -> None:
        self._form, self._arrays = TarFormat(array), arrays

    def splits(self) -> Splits:
        """Opens the arrays; warns where every video has one label."""
        splits = self._arrays.splits(self._form, self.label_kind)
        warn_of_single_labels(splits.train, "webdataset-single-label")
        return splits


class WebDatasetSingleLabel(DataSet):
    """Tar files as of `webdataset`, whose videos have exactly one label each.

    Networks are trained and judged as classifiers of one class a video.

    Knobs:
        array: ending of the members that are arrays, what follows the first dot of their name.
    """

    label_kind: ClassVar[LabelKind] = "single-label"

    def __init__(self, *, array: str = "npy", arrays: FeatureSource = FeatureSource()) -> None:
        self._form, self._arrays = TarFormat(array), arrays

    def splits(self) -> Splits:
        """Opens the arrays; a video of several labels is an error."""
        return self._arrays.splits(self._form, self.label_kind)


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `webdataset` and `webdataset-single-label`."""
    return {"webdataset": WebDataset, "webdataset-single-label": WebDatasetSingleLabel}
