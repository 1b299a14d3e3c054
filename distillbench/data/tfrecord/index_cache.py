"""Keeps a shard's index, beside it or in the cache, and tells stale and damaged ones apart."""

from __future__ import annotations

import json
import logging
import mmap
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b
from pathlib import Path
from stat import S_IWUSR
from typing import Any
from uuid import uuid4

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray
from safetensors.numpy import save

from distillbench.data.places import Place
from distillbench.data.remote.path import RemotePath
from distillbench.data.tfrecord.index import Bad, Column, ShardIndex, index_shard
from distillbench.errors import DataError
from distillbench.storage import cache_folder, written_whole

FORMAT = 2
"""Number of the index's format and of what is let into it.

An index of another number is made again.
"""

Progress = Callable[[int, int], None]
"""Is called with how many shards are indexed, and of how many."""

_PROGRESS: ContextVar[Progress | None] = ContextVar("progress", default=None)
_PARTS = ("base", "stride", "count", "width", "loose")
_WHOLE = ("starts", "sizes", "ids", "id_ends", "labelled", "labels", "label_ends")
_SAMPLE = 4096
_KINDS = {"I64": "<i8", "I32": "<i4", "U8": "|u1", "BOOL": "|b1"}
_LOG = logging.getLogger(__name__)


@contextmanager
def indexing_progress(progress: Progress) -> Iterator[None]:
    """Calls `progress` for every index that is made or read inside the `with` block."""
    token = _PROGRESS.set(progress)
    try:
        yield
    finally:
        _PROGRESS.reset(token)


def shard_indexes(paths: Sequence[Place], progress: Progress | None = None) -> list[ShardIndex]:
    """Returns the index of each shard, in order.

    Missing, stale and damaged indexes are made, in parallel.

    Raises `DataError` for the first shard that cannot be read at all.
    """
    progress = progress or _PROGRESS.get()
    with ThreadPoolExecutor(
        (os.cpu_count() or 1) + 1
    ) as pool:  # checksums leave the GIL; one more fills the gaps
        waiting = [pool.submit(shard_index, path) for path in paths]
        try:
            for done, future in enumerate(as_completed(waiting), 1):
                future.result()
                if progress is not None:
                    progress(done, len(waiting))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in waiting]


def shard_index(path: Place) -> ShardIndex:
    """Returns a shard's index, kept or made; what is made is kept where that is allowed."""
    try:
        key = _key(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    for place in _places(path):
        index = _load(place, key)
        if index is not None:
            return index
    index = index_shard(path)
    if len(index) and key == _key(path):
        _keep(path, index, key)
    return index


def _key(path: Place) -> dict[str, Any]:
    """Identifies a shard.

    On this machine it is by its size, time, and the checksum of four samples of its bytes; by URL
    by its size, ETag and time. Where the server tells neither, nothing else has this key.
    """
    if isinstance(path, RemotePath):
        version = path.version()
        unique = "" if version.is_certain else uuid4().hex
        return {"format": FORMAT, "version": [*version, unique], "size": version.size}
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        checksum = 0
        for part in range(4):
            file.seek(max(0, (status.st_size - _SAMPLE) * part // 3))
            checksum = crc32c(file.read(_SAMPLE), checksum)
    return {
        "format": FORMAT,
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "samples": checksum,
    }


def _places(path: Place) -> tuple[Path, ...]:
    """Returns where a shard's index may be: beside it, or in the cache, and by URL there alone."""
    whole = str(path) if isinstance(path, RemotePath) else path.absolute()
    digest = blake2b(os.fsencode(whole), digest_size=12).hexdigest()
    cached = cache_folder("indexes") / f"{path.name[:80]}.{digest}.index.safetensors"
    if not isinstance(whole, Path):
        return (cached,)
    return whole.with_name(f".{path.name}.index.safetensors"), cached


def _keep(path: Place, index: ShardIndex, key: dict[str, Any]) -> None:
    places = _places(path)
    data = _pack(index, key)
    for place in places:
        try:
            if place is places[-1]:
                place.parent.mkdir(parents=True, exist_ok=True)
            elif (
                not place.parent.stat().st_mode & S_IWUSR
            ):  # root may write where the owner forbids it
                continue
            with written_whole(place) as file:
                file.write(data)
        except OSError as error:
            _LOG.info("index of %s not kept at %s: %s", path, place, error)
        else:
            return


def _pack(index: ShardIndex, key: dict[str, Any]) -> bytes:
    arrays: dict[str, NDArray[Any]] = {name: getattr(index, name) for name in _WHOLE}
    for number, column in enumerate(index.columns.values()):
        arrays |= {f"{number}.{part}": getattr(column, part) for part in _PARTS}
    about = {
        **key,
        "lists": list(index.columns),
        "bad": index.bad,
        "content": index.content,
        "checksum": _checksum(arrays.items()),
    }
    return bytes(save(arrays, {"distillbench": json.dumps(about)}))


def _load(place: Path, key: dict[str, Any]) -> ShardIndex | None:
    """Returns the index kept at `place`.

    None where there is none, or it is another file's, or damaged.
    """
    try:
        with place.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        described = _described(data)
        about = json.loads(described.pop("__metadata__")["distillbench"])
        if any(about[name] != value for name, value in key.items()):
            return None
        arrays = {name: _array(data, **each) for name, each in described.items()}
        if _checksum(arrays.items()) != about["checksum"]:
            raise ValueError("checksum")
        columns = {
            name: Column(**{part: arrays[f"{number}.{part}"] for part in _PARTS})
            for number, name in enumerate(about["lists"])
        }
        whole = {name: arrays[name] for name in _WHOLE}
        bad = tuple(Bad(*each) for each in about["bad"])
        return ShardIndex(
            **whole, columns=columns, bad=bad, content=about["content"], size=about["size"]
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        _LOG.info("index %s is damaged and made again: %s", place, error)
        return None


def _described(data: mmap.mmap) -> dict[str, Any]:
    """Returns the header of a safetensors file, with offsets from the start of the file."""
    start = 8 + int.from_bytes(data[:8], "little")
    described: dict[str, Any] = json.loads(data[8:start])
    for name, each in described.items():
        if name != "__metadata__":
            each["data_offsets"] = [start + offset for offset in each["data_offsets"]]
    return described


def _array(
    data: mmap.mmap, dtype: str, shape: Sequence[int], data_offsets: Sequence[int]
) -> NDArray[Any]:
    """Returns an array that stays in the file, so that it takes no memory of this process."""
    count, *more = shape
    start, stop = data_offsets
    kind = np.dtype(_KINDS[dtype])
    if more or stop - start != count * kind.itemsize:
        raise ValueError("shape")
    return np.frombuffer(data, kind, count, start)


def _checksum(arrays: Iterable[tuple[str, NDArray[Any]]]) -> int:
    checksum = 0
    for name, array in sorted(arrays):
        checksum = crc32c(
            np.ascontiguousarray(array).view(np.uint8).data, crc32c(name.encode(), checksum)
        )
    return checksum
