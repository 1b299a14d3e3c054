"""What a format of files with arrays of features has to say."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple, NoReturn

from distillbench.data.faults import Faults
from distillbench.data.mapped_videos import MappedVideos
from distillbench.data.splits import NAMES
from distillbench.data.stored_arrays import ArrayVideos, StoredArray, UnusableArrayError
from distillbench.errors import DataError


class Found(NamedTuple):
    """One array that was found.

    name: its id, with `/` between the folders that it is in.
    where: names it in messages.
    array: what is known of it, or why it cannot be used.
    labels: names or numbers of classes that stand beside it; None where nothing does.
    split: the split that stands beside it; empty where none does.
    """

    name: str
    where: str
    array: StoredArray | UnusableArrayError
    labels: tuple[str, ...] | None = None
    split: str = ""


class ArrayFormat(ABC):
    """Finds the arrays in files of one format, and reads them.

    nothing: what is so where none is found.
    class_names: the names of classes that the files themselves have, once arrays were found; None
        where they have none.
    """

    nothing: ClassVar[str]
    class_names: Sequence[str] | None = None

    @abstractmethod
    def found(
        self, root: Path, *, labels: bool, check_values: bool, faults: Faults
    ) -> Iterable[Found]:
        """Finds all arrays, always in one order.

        root: a folder or a file.
        labels: whether those beside the arrays are wanted.
        check_values: whether arrays with numbers that are not finite cannot be used.
        faults: gathers what is wrong and of no array that is returned.
        Raises `DataError` for a file that cannot be read at all.
        """

    def reader(self, arrays: Sequence[StoredArray]) -> type[ArrayVideos]:
        """Returns what reads arrays that were found, all of one type and width.

        Unless a format says otherwise, they lie frame after frame in files that are mapped.
        """
        return MappedVideos


def files_below(root: Path, *suffixes: str) -> Iterator[Path]:
    """Yields files by their ending, but hidden ones; a root that is a file itself, whatever it is.

    A folder that is reached in several ways, through links, is entered once. Raises `DataError`.
    """
    return map(Path, paths_below(root, *suffixes))


def paths_below(root: Path, *suffixes: str) -> Iterator[str]:
    """Yields what `files_below` does as text, which is several times as fast for many files."""
    if not root.is_dir():
        yield str(root)
        return
    entered: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=_refuse):
        about = os.stat(folder)
        if (about.st_dev, about.st_ino) in entered:
            folders.clear()
            continue
        entered.add((about.st_dev, about.st_ino))
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        yield from (
            os.path.join(folder, name)
            for name in sorted(files)
            if name.endswith(suffixes) and not name.startswith(".")
        )


class FileSplit(NamedTuple):
    """The split that a file says it is of, and what the ids of its videos begin with for that.

    Both are empty where it says none; no id begins with a split that all files are of.
    """

    split: str
    prefix: str


def splits_of_files(paths: Iterable[Path], root: Path) -> Mapping[Path, FileSplit]:
    """Returns the split that each file below a folder says.

    Where they are of several, videos are named as if they lay in folders `train` and so on.
    """
    splits = {path: _split_of_file(path, root) for path in paths}
    several = len(set(splits.values())) > 1
    return {
        path: FileSplit(split, f"{split}/" if several and split else "")
        for path, split in splits.items()
    }


def _split_of_file(path: Path, root: Path) -> str:
    """Returns the split that a file's folder or its name says; empty where neither does.

    Names are such as `train.tar`, `NAME-train.arrow` and `train-00000-of-00002.arrow`.
    """
    top = path.relative_to(root).parts[:-1][:1]
    if top and top[0] in NAMES:
        return top[0]
    words = path.stem.split("-")
    return next((name for name in NAMES if name in words), "")


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename}: cannot be looked into: {error.strerror}") from error
