"""How processes share a folder of results: each makes what no other one has in hand."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_LOOK_AGAIN = 2.0  # seconds after which it is asked again whether another process has a file


class Claims:
    """The runs and the teachers that this process makes, and no other one beside it.

    One file, of which a claim locks the byte that its name hashes to: a claim ends with its
    process, and any number of them takes one open file. Where the system or the file system knows
    no locks every claim is granted, and two processes may make the same.

    A process has one object at a time for a folder: the system drops all its locks of a file once
    it closes that file anywhere.
    """

    def __init__(self, results: Path) -> None:
        self._path = results / ".claims"
        self._file: int | None = None
        self._held: set[str] = set()

    def take(self, *names: str) -> str | None:
        """Claims all of them, or none.

        Returns the first that another process has, None if they are claimed. What this process
        has is claimed again.
        """
        taken: list[str] = []
        for name in names:
            if not self._lock(name):
                self.leave(*taken)
                return name
            taken += [] if name in self._held else [name]
            self._held.add(name)
        return None

    def leave(self, *names: str) -> None:
        """Gives up claims; what is not claimed is passed over."""
        for name in self._held.intersection(names):
            self._held.remove(name)
            if fcntl is not None and self._file is not None:
                with suppress(OSError):
                    fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(name))

    def close(self) -> None:
        """Gives up all claims."""
        self._held.clear()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _lock(self, name: str) -> bool:
        if fcntl is None:
            return True
        if self._file is None:
            self._file = _opened(self._path)
        if self._file is None:
            return True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(name))
        except (BlockingIOError, PermissionError):  # POSIX leaves open which of them
            return False
        except OSError:  # the file system knows no locks
            return True
        return True


def _opened(path: Path) -> int | None:
    """Opens the file for whoever may write to its folder; one that cannot be opened locks nobody.

    What stops a run as well, such as a full disk, is told there.
    """
    with suppress(OSError):
        return os.open(path, os.O_RDWR)
    with suppress(OSError):
        made = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        with suppress(OSError):
            os.fchmod(made, path.parent.stat().st_mode & 0o666 | 0o600)
        return made
    return None


def _place(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=7).digest(), "little")


class SharedFolder:
    """The files that a sweep is to make, beside other sweeps."""

    def __init__(self, results: Path, files: Iterable[Path]) -> None:
        self._claims = Claims(results)
        self._before = {file: _state(file) for file in files}
        self._busy_until: dict[Path, float] = {}

    def claim(self, *files: Path) -> Path | None:
        """Claims files for this process, unless another one has one of them.

        Returns the first that another one has, None if they are claimed.
        """
        now = time.monotonic()
        for file in files:
            if now < self._busy_until.get(file, 0.0):
                return file
        by_name = {file.name: file for file in files}
        if (name := self._claims.take(*by_name)) is None:
            return None
        self._busy_until[by_name[name]] = now + _LOOK_AGAIN
        return by_name[name]

    def leave(self, *files: Path) -> None:
        """Gives up claims."""
        self._claims.leave(*(file.name for file in files))

    def close(self) -> None:
        """Gives up all claims."""
        self._claims.close()

    def was_made(self, file: Path) -> bool:
        """Tells whether a file is there that was not, or another one than when this began."""
        return _state(file) not in (None, self._before[file])


def _state(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
