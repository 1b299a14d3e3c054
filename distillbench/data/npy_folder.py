"""A folder of .npy files, one array a video, and the JSON files beside them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from distillbench.data.array_format import ArrayFormat, Found, files_below
from distillbench.data.faults import Faults
from distillbench.data.known_arrays import WORTH, Known, KnownArrays
from distillbench.data.label_table import LabelRow, labels_beside
from distillbench.data.npy_videos import NpyVideos, npy_array
from distillbench.data.stored_arrays import UNREADABLE, StoredArray, UnusableArrayError
from distillbench.errors import DataError
from distillbench.interfaces import Codec, Labels

_FILES = 256  # that one task of a thread opens
_THREADS = 8


class NpyFolder(ArrayFormat):
    """Arrays that are .npy files; an array's id is its path below the folder, without `.npy`.

    A JSON file of an array's name has its labels, as a list `labels`, and perhaps its `split`.
    """

    nothing: ClassVar[str] = "no *.npy in this folder or below it"

    def found(
        self, root: Path, *, labels: bool, check_values: bool, faults: Faults
    ) -> Iterable[Found]:
        """Reads the header of every file, and all values where they are to be checked."""
        if not root.is_dir():
            raise DataError(f"{root}: is no folder")
        paths = {
            path.relative_to(root).as_posix()[: -len(".npy")]: str(path)
            for path in files_below(root, ".npy")
        }
        arrays = _looked_at(root, sorted(paths.items()), check_values)
        beside = _beside(root, paths, faults) if labels else {}
        for name, array in arrays.items():
            said = beside.get(name)
            if isinstance(said, UnusableArrayError):
                usable = isinstance(array, StoredArray)
                yield Found(name, paths[name], said if usable else array)
            elif said is None:
                yield Found(name, paths[name], array)
            else:
                yield Found(name, paths[name], array, said.labels, said.split)

    def videos(
        self,
        arrays: Sequence[StoredArray],
        ids: Sequence[str],
        labels: Labels,
        *,
        class_names: Sequence[str] | None,
        codec: Codec,
        skipped: Mapping[str, int],
    ) -> NpyVideos:
        """Returns the files as videos, each of which is opened when it is read."""
        return NpyVideos(arrays, ids, labels, class_names=class_names, codec=codec, skipped=skipped)


def _looked_at(
    root: Path, items: Sequence[tuple[str, str]], check_values: bool
) -> dict[str, StoredArray | UnusableArrayError]:
    """Reads the header of every file that is not known from before, and its values if asked to."""
    known = KnownArrays(root) if len(items) >= WORTH else None
    parts = [items[start : start + _FILES] for start in range(0, len(items), _FILES)]
    arrays: dict[str, StoredArray | UnusableArrayError] = {}
    usable: dict[str, Known] = {}

    def looked(part: Sequence[tuple[str, str]]) -> list[Known | UnusableArrayError]:
        return [_looked(name, path, check_values, known) for name, path in part]

    with ThreadPoolExecutor(_THREADS) as pool:
        for part, found in zip(parts, pool.map(looked, parts), strict=True):
            for (name, _), each in zip(part, found, strict=True):
                if isinstance(each, Known):
                    arrays[name], usable[name] = each.array, each
                else:
                    arrays[name] = each
    if known is not None:
        known.keep(usable)
    return arrays


def _looked(
    name: str, path: str, check: bool, known: KnownArrays | None
) -> Known | UnusableArrayError:
    try:
        found = known.find(name, path, check) if known is not None else None
        if found is not None:
            return found
        status = os.stat(path)
        array = npy_array(path)
        if check:
            array.require_numbers()
        return Known(array, status.st_size, status.st_mtime_ns, check)
    except UnusableArrayError as error:
        return error
    except OSError as error:
        return UnusableArrayError(path, UNREADABLE, error.strerror or str(error))


def _beside(
    root: Path, paths: Mapping[str, str], faults: Faults
) -> dict[str, LabelRow | UnusableArrayError]:
    """Reads the JSON beside each array; one without an array is a fault if it has labels."""
    rows: dict[str, LabelRow | UnusableArrayError] = {}
    files = {str(path): path for path in files_below(root, ".json")}
    for name, path in paths.items():
        beside = files.pop(path.removesuffix(".npy") + ".json", None)
        if beside is None:
            continue
        try:
            rows[name] = labels_beside(name, beside.read_bytes())
        except (OSError, DataError) as error:
            reason = "the JSON beside its array cannot be used"
            rows[name] = UnusableArrayError(str(beside), reason, str(error))
    for other in files.values():
        if not other.with_suffix(".npy").exists():
            with suppress(OSError, DataError):  # any other JSON
                labels_beside("", other.read_bytes())
                faults.add(other.relative_to(root).as_posix(), "it has labels and no array")
    return rows
