"""Bytes of any number of remote files, as if they lay behind one another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distillbench.data.memory.scratch_arrays import room
from distillbench.data.remote.block_cache import BLOCK
from distillbench.data.remote.path import RemotePath
from distillbench.errors import DataError

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

_AT_ONCE = 32  # requests of a process
_LARGEST = 8 << 20  # bytes of a request
_GAP = 32 << 10  # bytes between two stretches that are rather read than requested apart
_STREAMED = 4  # parts of a file that are requested at once while it is streamed


class _Extent(NamedTuple):
    """A stretch of bytes of a file, and where it begins in the gathered bytes."""

    file: int
    start: int
    stop: int
    at: int


class RemoteFiles:
    """Reads stretches of remote files, each with one request at most, many at the same time.

    What is read is kept in the files' cache, if there is one, in blocks.

    starts: (files,) where each file begins in the row of all files.
    """

    def __init__(self, paths: Sequence[RemotePath], sizes: Sequence[int]) -> None:
        """sizes: of the files when they were indexed; `DataError` where one is another now."""
        self._paths = tuple(paths)
        for path, size in zip(paths, sizes, strict=True):
            if path.version().size != size:
                raise DataError(f"{path}: the file changed while it was opened; start again")
        self.starts = np.cumsum([0, *sizes[:-1]], dtype=np.int64)
        self._sizes = tuple(sizes)
        self._digests = [_digest(path) for path in paths]

    def gathered(self, starts: Ints, stops: Ints) -> tuple[Bytes, Ints]:
        """Reads stretches [start, stop), (n,) each within one file.

        Returns bytes in which all of them lie, and what is to be added to a place in a stretch so
        that it is the place of the same byte there, (n,).
        """
        extents, of = self._extents(starts, stops)
        found = np.empty(extents[-1].at + extents[-1].stop - extents[-1].start, np.uint8)
        self._fill(extents, found.data)
        moved = np.array([each.at - each.start - int(self.starts[each.file]) for each in extents])
        return found, moved[of]

    def _extents(self, starts: Ints, stops: Ints) -> tuple[list[_Extent], Ints]:
        """Joins stretches that overlap or lie near one another; returns also which each is in."""
        order = np.argsort(starts, kind="stable")
        files = np.searchsorted(self.starts, starts[order], side="right") - 1
        own = self.starts[files]
        firsts, lasts = starts[order] - own, stops[order] - own
        extents: list[_Extent] = []
        of = np.empty(len(order), np.int64)
        at = 0
        rows = zip(order.tolist(), files.tolist(), firsts.tolist(), lasts.tolist(), strict=True)
        for row, file, start, stop in rows:
            last = extents[-1] if extents else None
            if last is not None and last.file == file and start - last.stop <= _GAP:
                extents[-1] = last._replace(stop=max(stop, last.stop))
            else:
                extents.append(_Extent(file, start, stop, at))
            last = extents[-1]
            at = last.at + last.stop - last.start
            of[row] = len(extents) - 1
        return extents, of

    def _fill(self, extents: Sequence[_Extent], into: memoryview) -> None:
        missing: dict[tuple[int, int], list[_Extent]] = {}
        direct = []
        for extent in extents:
            if self._paths[extent.file].cache is None or not self._digests[extent.file]:
                direct += list(_pieces(extent))
                continue
            for piece in _blocks(extent):
                if not self._kept(piece, into):
                    missing.setdefault((piece.file, piece.start // BLOCK), []).append(piece)
        pool = _pool(os.getpid())
        waiting = [pool.submit(self._copy, piece, into) for piece in direct]
        for file, first, last in _runs(sorted(missing)):
            pieces = [each for block in range(first, last) for each in missing[file, block]]
            waiting.append(pool.submit(self._fetch, file, first, last, pieces, into))
        _finish(waiting)

    def _kept(self, piece: _Extent, into: memoryview) -> bool:
        """Copies a piece of one block out of the cache, if it is there."""
        cache = self._paths[piece.file].cache
        size = piece.stop - piece.start
        place = into[piece.at : piece.at + size]
        block, start = divmod(piece.start, BLOCK)
        return cache is not None and cache.read(self._digests[piece.file], block, start, place)

    def _copy(self, piece: _Extent, into: memoryview) -> None:
        data = self._read(piece.file, piece.start, piece.stop)
        into[piece.at : piece.at + len(data)] = data

    def _fetch(
        self, file: int, first: int, last: int, pieces: Sequence[_Extent], into: memoryview
    ) -> None:
        """Requests the blocks [first, last) of a file, keeps them and copies pieces of them."""
        start, stop = first * BLOCK, min(last * BLOCK, self._sizes[file])
        data = self._read(file, start, stop)
        for each in pieces:
            some = data[each.start - start : each.stop - start]
            into[each.at : each.at + len(some)] = some
        _keep(self._paths[file], self._digests[file], first, data, make_room=True)

    def _read(self, file: int, start: int, stop: int) -> memoryview:
        path = self._paths[file]
        return path.connection.read(path.key, start, stop)


def streamed(path: RemotePath) -> Bytes:
    """Reads a whole file once, in parts; keeps its blocks where the cache has room for them.

    Returns its bytes, in a file of the cache if they are many.
    """
    size, digest = path.version().size, _digest(path)
    whole = room(size, np.uint8)
    into = whole.data

    def work(start: int) -> None:
        stop = min(start + _LARGEST, size)
        data = path.connection.read(path.key, start, stop)
        into[start:stop] = data
        if digest:
            _keep(path, digest, start // BLOCK, data, make_room=False)

    with ThreadPoolExecutor(_STREAMED, thread_name_prefix="distillbench-stream") as pool:
        _finish([pool.submit(work, start) for start in range(0, size, _LARGEST)])
    return whole


def _keep(path: RemotePath, digest: str, first: int, data: memoryview, *, make_room: bool) -> None:
    """Keeps whole blocks of a file, the first of which has the number `first`."""
    if path.cache is not None:
        for number, start in enumerate(range(0, len(data), BLOCK), first):
            path.cache.keep(digest, number, data[start : start + BLOCK], make_room=make_room)


def _digest(path: RemotePath) -> str:
    """Names a file and its version; empty where another content could have the same version."""
    version = path.version()
    if not version.is_certain:
        return ""
    return blake2b(repr((str(path), *version)).encode(), digest_size=16).hexdigest()


def _pieces(extent: _Extent) -> Iterator[_Extent]:
    """Cuts a stretch so that no piece is too large for a request."""
    for start in range(extent.start, extent.stop, _LARGEST):
        stop = min(start + _LARGEST, extent.stop)
        yield _Extent(extent.file, start, stop, extent.at + start - extent.start)


def _blocks(extent: _Extent) -> Iterator[_Extent]:
    """Cuts a stretch where blocks end."""
    start = extent.start
    while start < extent.stop:
        stop = min((start // BLOCK + 1) * BLOCK, extent.stop)
        yield _Extent(extent.file, start, stop, extent.at + start - extent.start)
        start = stop


def _runs(blocks: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Joins consecutive blocks of a file, none twice, as far as a request may reach.

    Yields the file, the first block and the one after the last.
    """
    most = _LARGEST // BLOCK
    run: tuple[int, int, int] | None = None
    for file, block in blocks:
        if run is not None and run[0] == file and run[2] == block and block - run[1] < most:
            run = file, run[1], block + 1
            continue
        if run is not None:
            yield run
        run = file, block, block + 1
    if run is not None:
        yield run


def _finish(waiting: Sequence[Future[None]]) -> None:
    """Waits for requests; the first that failed is raised, and the rest are given up."""
    try:
        for each in waiting:
            each.result()
    except BaseException:
        for each in waiting:
            each.cancel()
        wait(waiting)  # they write into memory that is the caller's
        raise


@cache
def _pool(_process: int) -> ThreadPoolExecutor:
    """Returns the threads of this process: a forked one has none of its parent's."""
    return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="distillbench-fetch")
