"""A folder of .npy files, one array a video, and the JSON files beside them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from distillbench.data.array_format import ArrayFormat, Found, paths_below
from distillbench.data.faults import Faults
from distillbench.data.known_arrays import WORTH, Known, KnownArrays
from distillbench.data.label_table import LabelRow, labels_beside
from distillbench.data.npy_videos import NpyVideos, npy_array
from distillbench.data.stored_arrays import UNREADABLE, StoredArray, UnusableArrayError
from distillbench.errors import DataError

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
        paths = {_below(root, path, ".npy"): path for path in paths_below(root, ".npy")}
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

    def reader(self, arrays: Sequence[StoredArray]) -> type[NpyVideos]:
        """Returns what opens each file when it is read."""
        return NpyVideos


def _looked_at(
    root: Path, items: Sequence[tuple[str, str]], check_values: bool
) -> dict[str, StoredArray | UnusableArrayError]:
    """Reads the header of every file that is not known from before, and its values if asked to."""
    known = KnownArrays(root) if len(items) >= WORTH else None
    found: dict[str, Known | UnusableArrayError] = {}
    if known is not None:  # in this thread: others would wait for the GIL, not for the disk
        found = {
            name: each
            for name, path in items
            if (each := known.find(name, path, check_values)) is not None
        }
    new = [(name, path) for name, path in items if name not in found]
    parts = [new[start : start + _FILES] for start in range(0, len(new), _FILES)]

    def looked(part: Sequence[tuple[str, str]]) -> list[Known | UnusableArrayError]:
        return [_looked(path, check_values) for _, path in part]

    with ThreadPoolExecutor(_THREADS) as pool:
        for part, results in zip(parts, pool.map(looked, parts), strict=True):
            found |= {name: each for (name, _), each in zip(part, results, strict=True)}
    if known is not None:
        known.keep({name: each for name, each in found.items() if isinstance(each, Known)})
    in_order = ((name, found[name]) for name, _ in items)
    return {name: each.array if isinstance(each, Known) else each for name, each in in_order}


def _looked(path: str, check: bool) -> Known | UnusableArrayError:
    try:
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
    files = set(paths_below(root, ".json"))
    for name, path in paths.items():
        beside = path.removesuffix(".npy") + ".json"
        if beside not in files:
            continue
        files.remove(beside)
        try:
            rows[name] = labels_beside(name, Path(beside).read_bytes())
        except (OSError, DataError) as error:
            reason = "the JSON beside its array cannot be used"
            rows[name] = UnusableArrayError(beside, reason, str(error))
    for other in sorted(files):
        with suppress(OSError, DataError):  # any other JSON
            labels_beside("", Path(other).read_bytes())
            faults.add(_below(root, other), "it has labels and no array")
    return rows


def _below(root: Path, path: str, ending: str = "") -> str:
    """Returns a path below a folder, without its ending, with `/` between folders."""
    whole = path[len(os.path.join(root, "")) :]
    return whole.removesuffix(ending).replace(os.sep, "/")
