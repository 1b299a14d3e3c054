"""The index of a folder's rows: what its files were flattened to, while they are as they were.

A board needs little of each file, and reading 10,000 of them takes half a minute. The index is
never trusted over a file: an entry counts only while its file has the size, the times and the inode
that it had, and the whole index only while the code that made it is as it was, and if it was
written by this user. Whatever else is there is ignored, and written again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import distillbench
from distillbench.analysis.estimates import Estimates
from distillbench.errors import ResultError
from distillbench.interfaces import Metric, Predictions
from distillbench.machine import processor
from distillbench.storage import cache_folder, write_atomically

NAME = ".rows.index"
_SETTLED_NS = 2_000_000_000
"""How old a change must be: an older file that changes again has another time.

File systems count time in steps, of up to two seconds.
"""
_MOST_FILES = 20_000
_MOST_BYTES = 1 << 30
_KEY_BYTES = 32
_MOST_ESTIMATES = 200_000

_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)

State = tuple[int, ...]
Row = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """What a board needs of a file: of a result, or of a run without one.

    row: as `rows.row` or `rows.failure_row` has it, but for what depends on where the
    file is and on what is installed, which is made when it is read.
    about: what a result has beside: finished, predictions, quality, and which metrics judge it.
    """

    row: Row
    about: Mapping[str, Any]


@dataclass(frozen=True)
class EvaluatedRow:
    """A result as the index knows it: what intervals are made of."""

    path: Path
    id: str
    seed: int
    videos: str
    quality: Mapping[str, float | None]
    metrics: Mapping[str, Metric]
    file: str

    def predictions(self) -> Predictions:
        """Loads its best predictions; raises `ResultError` where they are missing or damaged."""
        from distillbench.results.store import load_predictions

        path = self.path.parent / self.file
        return load_predictions(path, self.id, self.quality.get("videos"))


class RowIndex:
    """The index of one folder, and what is added to it."""

    def __init__(self, folder: Path, code: str) -> None:
        """Reads what is there, if it can be trusted.

        code: identifies what makes rows; where it is empty, there is no index.
        """
        self._path, self._code = folder / NAME, code
        self._known: dict[str, tuple[State, Entry]] = {}
        self._used: dict[str, tuple[State, Entry]] = {}
        self.estimates = Estimates()
        if code:
            with suppress(*_DAMAGE):
                self._read()

    def find(self, name: str, state: State | None) -> Entry | None:
        """Returns the entry of a file, by its name below the folder, if it is still as it was."""
        known = self._known.get(name)
        if known is None or state is None or known[0] != state:
            return None
        self._used[name] = known
        return known[1]

    def add(self, name: str, state: State | None, entry: Entry) -> None:
        """Adds a file that was read; one that may change unnoticed is read again next time."""
        if state is not None:
            self._used[name] = state, entry

    def save(self) -> None:
        """Writes the index if it has changed; where it cannot be written, there is none."""
        if not self._code or (self._used == self._known and not self.estimates.has_more):
            return
        with suppress(OSError, ResultError, ValueError):
            payload = json.dumps(self._content(), separators=(",", ":")).encode()
            signed = _signature(payload) + b"\n" + payload
            write_atomically(self._path, lambda draft: draft.write_bytes(signed))

    def _read(self) -> None:
        if not self._path.is_file() or self._path.stat().st_size > _MOST_BYTES:
            return
        signature, _, payload = self._path.read_bytes().partition(b"\n")
        if not hmac.compare_digest(signature, _signature(payload)):
            return
        content = json.loads(payload)
        if content["code"] != self._code:
            return
        settings: list[tuple[str, str]] = [(name, value) for name, value in content["settings"]]
        shapes: list[list[str]] = content["shapes"]
        for name, (state, shape, values, chosen, about) in content["files"].items():
            row = dict(zip(shapes[shape], values, strict=True))
            row["settings"] = _Settings(settings, chosen)
            self._known[name] = tuple(state), Entry(row, about)
        self.estimates = Estimates(content["estimates"])

    def _content(self) -> dict[str, Any]:
        shapes: dict[tuple[str, ...], int] = {}
        settings: dict[tuple[str, str], int] = {}
        files = {}
        for name, (state, entry) in self._used.items():
            row = {key: value for key, value in entry.row.items() if key != "settings"}
            shape = shapes.setdefault(tuple(row), len(shapes))
            chosen = [
                settings.setdefault(pair, len(settings)) for pair in entry.row["settings"].items()
            ]
            files[name] = (state, shape, list(row.values()), chosen, entry.about)
        kept = {k: v for k, v in self.estimates.kept.items() if k not in self.estimates.used}
        estimates = [*kept.items(), *self.estimates.used.items()][-_MOST_ESTIMATES:]
        return {
            "code": self._code,
            "shapes": list(shapes),
            "settings": list(settings),
            "files": files,
            "estimates": dict(estimates),
        }


class _Settings(Mapping[str, str]):
    """A row's settings by dotted name, looked up when they are asked for: most boards never do."""

    def __init__(self, known: Sequence[tuple[str, str]], chosen: Sequence[int]) -> None:
        self._known, self._chosen = known, chosen

    def __getitem__(self, name: str) -> str:
        for key, value in self._pairs():
            if key == name:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._pairs())

    def __len__(self) -> int:
        return len(self._chosen)

    def _pairs(self) -> Iterator[tuple[str, str]]:
        return (self._known[number] for number in self._chosen)


def state_of(path: Path) -> State | None:
    """Identifies a file's content; None where there is no regular file, or it changed just now."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    changed = max(found.st_mtime_ns, found.st_ctime_ns)
    if not stat.S_ISREG(found.st_mode) or changed > time.time_ns() - _SETTLED_NS:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev


def code_of(metrics: Mapping[str, Metric]) -> str:
    """Identifies what rows and intervals are computed with; empty where that cannot be said.

    That is every source file of distillbench and of the packages that metrics are from, all that is
    installed, Python, and the processor, on which the last bits of a sum depend.
    """
    classes = {name: type(metric) for name, metric in metrics.items()}
    packages = {"distillbench", *(cls.__module__.partition(".")[0] for cls in classes.values())}
    sources = [file for name in sorted(packages) for file in _sources(name)]
    if len(sources) > _MOST_FILES:
        return ""
    named = [f"{name} {cls.__module__} {cls.__qualname__}" for name, cls in sorted(classes.items())]
    parts = [distillbench.__version__, sys.version, processor(), *named, *sources, *_installed()]
    return hashlib.blake2b("\n".join(parts).encode(errors="replace"), digest_size=16).hexdigest()


def _sources(package: str) -> list[str]:
    """Lists the source files of a package, each with what changes with it."""
    module = sys.modules[package]
    folders = list(getattr(module, "__path__", ()))
    if not folders:
        return [_stamp(str(module.__file__))] if getattr(module, "__file__", None) else []
    found = []
    for folder in folders:
        for place, below, names in os.walk(folder):
            below[:] = sorted(name for name in below if name != "__pycache__")
            found += [_stamp(os.path.join(place, name)) for name in sorted(names)]
            if len(found) > _MOST_FILES:
                break
    return found


def _stamp(path: str) -> str:
    found = os.stat(path)
    return f"{path} {found.st_size} {found.st_mtime_ns} {found.st_ino}"


def _installed() -> list[str]:
    """Lists the distributions of every folder that is imported from."""
    found = []
    for folder in sys.path:
        with suppress(OSError), os.scandir(folder or ".") as entries:
            found += sorted(
                f"{entry.path} {entry.stat().st_mtime_ns}"
                for entry in entries
                if entry.name.endswith(("-info", ".egg-link", ".pth"))
            )
    return found


def _signature(payload: bytes) -> bytes:
    """Signs an index with a key that this user's programs alone know.

    What others put into a folder of results is thus told from what was written here. Raises
    `OSError` where the key can neither be read nor kept.
    """
    path = cache_folder() / "index.key"
    if not path.is_file() or path.stat().st_size != _KEY_BYTES:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent)  # which nobody else may read
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        os.replace(draft, path)
    return hashlib.blake2b(payload, key=path.read_bytes(), digest_size=32).hexdigest().encode()
