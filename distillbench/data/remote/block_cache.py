"""Keeps blocks of remote files on the local disk, within a budget that processes share."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkstemp
from threading import Lock

from crc32c import crc32c

from distillbench.data.paths import expanded
from distillbench.storage import cache_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

BLOCK = 256 << 10
"""Bytes of a block; the last one of a file may be shorter."""

BUDGET = 20 * 10**9
"""Bytes of the cache where nobody says otherwise."""

_CHECKSUM = 4  # bytes, after a block's own
_COUNTED_AGAIN = 64  # times while the whole budget is written: other processes write too
_LEFT = 0.9  # of the budget, after blocks were removed
_TOUCHED = 60.0  # seconds: used again sooner, a block is not marked as used
_DRAFT = ".draft"
_ABANDONED = 3600.0  # seconds
_PAUSE = 60.0  # seconds without writing after the disk was full
_LOG = logging.getLogger(__name__)


class BlockCache:
    """A folder of blocks, each a file that is written whole or not at all and checked when read.

    Any number of processes may use it at once. Where the folder cannot be written to, or the disk
    is full, blocks are not kept, and reading goes on without. The least recently used blocks are
    removed so that their sizes stay within the budget.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        """budget: bytes that all blocks together may take."""
        self._folder, self._budget = folder, budget
        self._lock = Lock()
        self._used: int | None = None  # bytes; None until they are counted
        self._written = 0  # bytes, since they were counted
        self._resumes = 0.0  # when writing is tried again
        self._sound: set[tuple[str, int]] = set()  # blocks whose checksum was right

    def read(self, file: str, block: int, start: int, into: memoryview) -> bool:
        """Fills `into` with a block's bytes from `start` on; tells whether the block is kept.

        file: the digest that names the file and its version.
        """
        place = self._place(file, block)
        try:
            with place.open("rb", buffering=0) as opened:
                status = os.fstat(opened.fileno())
                if (file, block) not in self._sound:
                    if not _is_sound(opened.read()):
                        place.unlink(missing_ok=True)
                        return False
                    self._sound.add((file, block))
                opened.seek(start)
                is_whole = start + len(into) <= status.st_size - _CHECKSUM
                if not is_whole or opened.readinto(into) != len(into):
                    return False
                if time.time() - status.st_mtime > _TOUCHED:
                    os.utime(place)
        except OSError:
            return False
        return True

    def keep(self, file: str, block: int, data: memoryview, *, make_room: bool = True) -> None:
        """Keeps a block if that can be done; removes the least recently used to `make_room`."""
        size = len(data) + _CHECKSUM
        if size > self._budget or time.monotonic() < self._resumes:
            return
        try:
            if not self._has_room(size, make_room):
                return
            place = self._place(file, block)
            place.parent.mkdir(parents=True, exist_ok=True)
            _write(place, data)
        except OSError as error:
            _LOG.info("blocks are not kept in %s for a while: %s", self._folder, error)
            self._resumes = time.monotonic() + _PAUSE

    def _place(self, file: str, block: int) -> Path:
        return self._folder / file[:2] / f"{file}-{block:06x}"

    def _has_room(self, size: int, make_room: bool) -> bool:
        """Counts a block that is to be written; removes others where there is no room for it."""
        with self._lock:
            if self._used is None or self._written > self._budget / _COUNTED_AGAIN:
                self._used, self._written = sum(each.size for each in self._blocks()), 0
            if self._used + size > self._budget:
                if not make_room:
                    return False
                self._remove_oldest(int(self._budget * _LEFT) - size)
            self._used += size
            self._written += size
            return True

    def _remove_oldest(self, most: int) -> None:
        """Removes blocks, those first that were not used for longest, until `most` bytes are left.

        One process at a time does so; another one waits for it.
        """
        with self._removing():
            blocks = sorted(self._blocks(), key=lambda each: each.used_at)
            left = sum(each.size for each in blocks)
            for each in blocks:
                if left <= most:
                    break
                each.place.unlink(missing_ok=True)
                left -= each.size
            self._used, self._written = left, 0
            self._sound.clear()

    @contextmanager
    def _removing(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("wb") as file:
            if fcntl is not None:
                with suppress(OSError):  # the file system knows no locks
                    fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _blocks(self) -> Iterator[_Block]:
        """Finds all blocks; removes what killed writers left half written."""
        with suppress(FileNotFoundError):
            for folder in self._folder.iterdir():
                if len(folder.name) != 2:  # not one of ours
                    continue
                with suppress(OSError), os.scandir(folder) as entries:
                    for entry in entries:
                        with suppress(OSError):
                            status = entry.stat(follow_symlinks=False)
                            place = Path(entry.path)
                            if not entry.name.endswith(_DRAFT):
                                yield _Block(place, status.st_size, status.st_mtime)
                            elif time.time() - status.st_mtime > _ABANDONED:
                                place.unlink()


@dataclass(frozen=True)
class _Block:
    """A block's file, its bytes and when it was used."""

    place: Path
    size: int
    used_at: float


def _write(place: Path, data: memoryview) -> None:
    """Writes a block with its checksum, which appears whole or not at all."""
    handle, draft = mkstemp(dir=place.parent, suffix=_DRAFT)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.write(crc32c(data).to_bytes(_CHECKSUM, "little"))
        os.replace(draft, place)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise


def _is_sound(data: bytes) -> bool:
    """Tells whether the checksum of a block is that of its bytes."""
    whole = memoryview(data)
    return crc32c(whole[:-_CHECKSUM]).to_bytes(_CHECKSUM, "little") == whole[-_CHECKSUM:]


_CHOSEN: ContextVar[tuple[str, int]] = ContextVar("block_cache", default=("", BUDGET))


@contextmanager
def block_cache(folder: str, budget: int) -> Iterator[None]:
    """Chooses the cache of the remote files that are opened inside the `with` block.

    folder: empty for the usual one. budget: in bytes; 0 keeps nothing.
    """
    token = _CHOSEN.set((folder, budget))
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def chosen_cache() -> BlockCache | None:
    """Returns the cache that was chosen, None for none."""
    folder, budget = _CHOSEN.get()
    if not budget:
        return None
    return BlockCache(expanded(folder) if folder else cache_folder("blocks"), budget)
