"""A cache of teachers' encodings of training videos, in memory-mapped files on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distillbench.config.run_spec import digest
from distillbench.errors import ResultError
from distillbench.storage import load_tensors, save_tensors
from distillbench.training.callbacks import SILENT, Observer

BUDGET = 20_000_000_000
"""The default limit in bytes for the cached encodings of one teacher and view."""
SHARD = 8192
"""Videos per file: 67 MB at 8 kB a video, held in memory until it is written, lost by a kill."""
_BYTES_PER_NUMBER = 2  # half precision


class OutputCache:
    """A folder of teachers' encodings; it may be deleted at any time, and is then computed again.

    budget: bytes for one teacher and view; they hold the first videos of the split.
    shard: videos per file.
    """

    def __init__(self, folder: Path, budget: int = BUDGET, shard: int = SHARD) -> None:
        self.folder = folder
        self.budget = budget
        self.shard = shard

    def entry(
        self, key: Mapping[str, Any], videos: int, width: int, observer: Observer = SILENT
    ) -> CacheEntry:
        """Opens the encodings of one teacher and view.

        key: everything that the encodings depend on, as JSON holds it.
        videos: the number of videos in the split.
        width: E, the width of an encoding.
        observer: receives a message for each damaged file.
        """
        return CacheEntry(self, key, videos, width, observer)


class CacheEntry:
    """The files with the encodings (V, E) of a split by one teacher; `fitting` videos are cached.

    Iterating yields the range of videos of each file.
    """

    def __init__(
        self,
        cache: OutputCache,
        key: Mapping[str, Any],
        videos: int,
        width: int,
        observer: Observer,
    ) -> None:
        self.videos = videos
        self.width = width
        self.shard = cache.shard
        self._observer = observer
        about = {"key": key, "videos": videos, "width": width, "shard": cache.shard}
        # Through JSON, so that it equals what a file returns: tuples become lists.
        self._about: dict[str, Any] = json.loads(json.dumps(about))
        self.folder = cache.folder / digest(self._about)
        bytes_per_video = _BYTES_PER_NUMBER * width
        if bytes_per_video * videos <= cache.budget:
            self.fitting = videos
        else:
            # Whole shards only: a file always holds all videos of its range.
            self.fitting = cache.budget // (bytes_per_video * cache.shard) * cache.shard

    def __iter__(self) -> Iterator[range]:
        """Yields the videos of each file that is within the budget."""
        for first in range(0, self.fitting, self.shard):
            yield range(first, min(first + self.shard, self.videos))

    def find(self, videos: range) -> Tensor | None:
        """Returns the mapped encodings of a file's videos; None if they are not cached.

        A damaged file counts as not cached; the observer receives a message.
        """
        path = self._path(videos)
        if not path.is_file():
            return None
        try:
            return self._load_checked(path, videos)
        except ResultError as error:
            self._observer.message(f"{error}; the teacher's outputs are computed again")
            return None

    def keep(self, videos: range, summaries: Tensor) -> None:
        """Writes the encodings of a file's videos.

        Two processes may write the same file: each replaces it as a whole with the same content.

        Raises `ResultError` if the file cannot be written; an earlier file is then left unchanged.
        """
        save_tensors(self._path(videos), {"summaries": summaries}, self._description(videos))

    def _load_checked(self, path: Path, videos: range) -> Tensor:
        # safetensors refuses a file whose length differs from what its header says.
        tensors, about = load_tensors(path)
        if about != self._description(videos):
            raise ResultError(f"'{path}' holds other outputs than its name says")
        summaries = tensors.get("summaries")
        shape = (len(videos), self.width)
        if summaries is None or summaries.dtype != torch.float16 or summaries.shape != shape:
            raise ResultError(f"'{path}' does not hold the {len(videos)} encodings that it names")
        return summaries

    def _path(self, videos: range) -> Path:
        return self.folder / f"{videos.start // self.shard:05d}.safetensors"

    def _description(self, videos: range) -> dict[str, Any]:
        return {**self._about, "first": videos.start, "count": len(videos)}


class CachedOutputs:
    """Looks up cached encodings by video.

    shards: mapped encodings by the number of their file.
    videos: the number of videos in the split.
    width: E, the width of an encoding.
    shard: videos per file.
    """

    def __init__(self, shards: Mapping[int, Tensor], videos: int, width: int, shard: int) -> None:
        self._shards = shards
        self._width = width
        self._shard = shard
        shard_count = -(-videos // shard)  # rounded up
        is_cached = [number in shards for number in range(shard_count)]
        self._is_cached = torch.tensor(is_cached, dtype=torch.bool)

    def all(self) -> bool:
        """Tells whether the encodings of all videos are cached."""
        return bool(self._is_cached.all())

    def has(self, videos: Tensor) -> Tensor:
        """Tells for which of the videos (B,) the encoding is cached: (B,) bool."""
        return self._is_cached[videos // self._shard]

    def rows(self, videos: Tensor, *, pinned: bool = False) -> Tensor:
        """Returns the encodings (B, E), in half precision, of videos (B,) that are all cached.

        pinned: in page-locked memory, which CUDA copies from without waiting.
        """
        found = torch.empty(len(videos), self._width, dtype=torch.float16, pin_memory=pinned)
        rows = []
        for video in videos.tolist():
            number, row = divmod(video, self._shard)
            rows.append(self._shards[number][row])
        return torch.stack(rows, out=found) if rows else found
