"""Fetches files, each whole and checked or not at all; what was begun goes on where it was."""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b, md5
from pathlib import Path
from threading import Event, Lock

from distillbench.data.remote.path import RemotePath
from distillbench.errors import ConfigError, DataError
from distillbench.interfaces import PublishedFile
from distillbench.registry.discovery import Registry
from distillbench.storage import held
from distillbench.urls import is_url

_AT_ONCE = 4  # files
_PART = 8 << 20  # bytes that are requested at once, of each file
_TRIES = 2  # of a file whose bytes are not those that were published
_SHOWN = 5
_MD5 = re.compile(r"[0-9a-f]{32}")

FetchProgress = Callable[[str, int, int], object]
"""Is called with what is going on, how many bytes that is done with, and of how many."""


@dataclass(frozen=True)
class Fetched:
    """What a folder has now.

    files: how many there are of those that were wanted.
    there: how many of these were there before.
    size: bytes that were fetched.
    checked: how many files were compared with a checksum.
    """

    files: int
    there: int
    size: int
    checked: int


def published(
    registry: Registry, name: str, split: str, mirror: str | None = None, base: str | None = None
) -> Sequence[PublishedFile]:
    """Returns the files of a split that a data set is published as.

    mirror: the usual one by default. base: the URL of a copy.

    Raises `ConfigError` for a data set, a split or a mirror that there is none of, `DataError`
    where the list of files cannot be had.
    """
    component = registry.find("data", name)
    if component is None:
        raise ConfigError([registry.missing("data", name)])
    publication = getattr(component.cls, "publication", None)
    if publication is None:
        raise ConfigError(
            [f"the files of '{name}' cannot be fetched; docs/methods.md says where they are"]
        )
    mirrors = list(publication.mirrors)
    problems = [
        f"there is no {what} '{given}' of {name}; there are: {', '.join(known) or 'none'}"
        for what, given, known in (
            ("split", split, publication.splits),
            ("mirror", mirror, mirrors),
        )
        if given is not None and given not in known
    ]
    if base is not None and not is_url(base):
        problems.append(f"--from takes a URL, such as https://host/folder; found '{base}'")
    if problems:
        raise ConfigError(problems)
    where = (base or publication.base).rstrip("/")
    with component.guarded():
        chosen = mirror or next(iter(mirrors), "")
        return list(publication.files(split, where, chosen, _read_small))


def _read_small(url: str) -> bytes:
    return RemotePath.of(url).read_bytes()


def part_of(files: Sequence[PublishedFile], part: int, parts: int) -> list[PublishedFile]:
    """Returns one of so many parts of some files, numbered from 1; a file's name says its part.

    A part is the same whatever else is published, and 1 of 100 is about a hundredth.
    """

    def number(name: str) -> int:
        return int(md5(name.encode(), usedforsecurity=False).hexdigest(), 16) % parts

    return [each for each in files if number(each.name) == part - 1]


def fetch(
    files: Sequence[PublishedFile],
    folder: Path,
    progress: FetchProgress = lambda _what, _done, _total: None,
) -> Fetched:
    """Fetches files into a folder.

    A file that is there is fetched again only if its checksum is wrong, or, where none is
    published, its size.

    Raises `DataError` where a file cannot be had, is not what was published, or cannot be written;
    what is fetched stays, and what was begun goes on from there.
    """
    _require_names(files)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        busy = DataError(f"{folder}: another command is fetching into this folder")
        with held(folder, busy):
            return _Fetching(files, folder, progress).run()
    except OSError as error:
        raise DataError(
            f"{folder}: files cannot be written there: {error.strerror or error}; what is fetched"
            " is kept, and the same command goes on from there"
        ) from error


class _Fetching:
    """Files that are being fetched, several at a time."""

    def __init__(
        self, files: Sequence[PublishedFile], folder: Path, progress: FetchProgress
    ) -> None:
        self._files, self._folder, self._progress = files, folder, progress
        places = RemotePath.of_all([each.url for each in files])
        self._places = dict(zip(files, places, strict=True))
        self._lock, self._stopped = Lock(), Event()
        self._done = self._total = 0

    def run(self) -> Fetched:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="distillbench-download") as pool:
            try:
                return self._run(pool)
            except BaseException:
                self._stopped.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _run(self, pool: ThreadPoolExecutor) -> Fetched:
        here = [self._folder / each.name for each in self._files]
        self._total = sum(path.stat().st_size for path in here if path.is_file())
        right = list(pool.map(self._is_right, self._files))
        missing = [file for file, is_right in zip(self._files, right, strict=True) if not is_right]
        sizes = list(pool.map(lambda file: self._places[file].version().size, missing))
        begun = sum(part.stat().st_size for part in map(self._part, missing) if part.is_file())
        self._require_room(sum(sizes) - begun)
        self._total, self._done = sum(sizes), begun
        self._progress("fetching", begun, self._total)
        wrong = [each for each in pool.map(self._fetch, missing) if each]
        if wrong:
            shown = "; ".join(wrong[:_SHOWN]) + (" ..." if len(wrong) > _SHOWN else "")
            raise DataError(
                f"{self._folder}: {len(wrong)} of {len(self._files)} files are not what was"
                f" published: {shown}"
            )
        checked = sum(1 for each in self._files if each.md5)
        return Fetched(len(self._files), sum(right), sum(sizes) - begun, checked)

    def _is_right(self, file: PublishedFile) -> bool:
        """Tells whether a file is there already and is what was published."""
        path = self._folder / file.name
        if not path.is_file():
            return False
        if file.md5:
            return self._md5("checking what is there", path) == file.md5
        return path.stat().st_size == self._places[file].version().size

    def _require_room(self, size: int) -> None:
        free = shutil.disk_usage(self._folder).free
        if size > free:
            raise DataError(
                f"{self._folder}: {size:,} bytes are to be fetched, and its disk has room for"
                f" {free:,}; fetch a smaller part, or to another disk"
            )

    def _part(self, file: PublishedFile) -> Path:
        """Returns where a file is written while it is fetched.

        Its name tells the version, so that parts of two versions are never put together.
        """
        version = blake2b(repr(self._places[file].version()).encode(), digest_size=6)
        return self._folder / f".{file.name}.{version.hexdigest()}.part"

    def _fetch(self, file: PublishedFile) -> str:
        """Fetches a file; returns what is wrong with it, if its bytes are not those published."""
        part = self._part(file)
        for other in self._folder.glob(f".{glob.escape(file.name)}.*.part"):
            if other != part:
                other.unlink(missing_ok=True)
        found = ""
        for _ in range(_TRIES):
            self._complete(file, part)
            if self._stopped.is_set():
                return ""
            found = _md5_of(part) if file.md5 else ""
            if found == file.md5:
                os.replace(part, self._folder / file.name)
                return ""
            self._report("fetching", -part.stat().st_size)
            part.unlink()
        return f"{file.name} has the MD5 {found}, and {file.md5} was published"

    def _complete(self, file: PublishedFile, part: Path) -> None:
        """Appends to a part what the file has beyond it."""
        place = self._places[file]
        size = place.version().size
        part.touch()
        with part.open("r+b") as opened:
            for start in range(opened.seek(0, os.SEEK_END), size, _PART):
                if self._stopped.is_set():
                    return
                data = place.connection.read(place.key, start, min(start + _PART, size))
                opened.write(data)
                self._report("fetching", len(data))
            opened.flush()
            os.fsync(opened.fileno())

    def _md5(self, what: str, path: Path) -> str:
        return _md5_of(path, lambda count: self._report(what, count))

    def _report(self, what: str, count: int) -> None:
        with self._lock:
            self._done += count
            self._progress(what, self._done, self._total)


def _md5_of(path: Path, report: Callable[[int], object] = lambda _count: None) -> str:
    found = md5(usedforsecurity=False)
    with path.open("rb") as file:
        while data := file.read(_PART):
            found.update(data)
            report(len(data))
    return found.hexdigest()


def _require_names(files: Sequence[PublishedFile]) -> None:
    """Raises `DataError` where a list of files would write anywhere but into the folder."""
    names: set[str] = set()
    for each in files:
        is_plain = each.name == os.path.basename(each.name) and not each.name.startswith(".")
        if not is_plain or not each.name.isprintable() or "\\" in each.name or not each.name:
            raise DataError(
                f"the published name {each.name[:60]!r} is not that of a file in a folder"
            )
        if each.name in names:
            raise DataError(f"the file {each.name} is published twice")
        if each.md5 and not _MD5.fullmatch(each.md5):
            raise DataError(f"the file {each.name} is published with an MD5 that is none")
        names.add(each.name)
