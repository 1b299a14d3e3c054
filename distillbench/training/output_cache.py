"""Encodings of training videos on disk, in shards that are mapped rather than loaded."""

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
"""Bytes of encodings that are kept for a guide and what it sees, unless the user says otherwise."""
SHARD = 8192
"""Videos a shard: at 8 kB a video 67 MB, which is held in memory while it is made and lost by a kill."""


class OutputCache:
    """A folder of what guides said of training videos, which may be deleted at any time: it is made again.

    budget: bytes of encodings used for one guide and view; those of the split's first videos. shard: videos a file.
    """

    def __init__(self, folder: Path, budget: int = BUDGET, shard: int = SHARD) -> None:
        self.folder, self.budget, self.shard = folder, budget, shard

    def entry(
        self, key: Mapping[str, Any], videos: int, width: int, observer: Observer = SILENT
    ) -> CacheEntry:
        """Opens the answers to a question, which names, as JSON would hold it, everything that they depend on."""
        return CacheEntry(self, key, videos, width, observer)


class CacheEntry:
    """The shards of one question: encodings (V, E) of a split, of which the first `fitting` are within the budget."""

    def __init__(
        self,
        store: OutputCache,
        key: Mapping[str, Any],
        videos: int,
        width: int,
        observer: Observer,
    ) -> None:
        self.videos, self.width, self.shard, self._observer = videos, width, store.shard, observer
        asked = {"question": key, "videos": videos, "width": width, "shard": store.shard}
        self._about: dict[str, Any] = json.loads(json.dumps(asked))
        self.folder = store.folder / digest(self._about)
        whole = store.budget // (2 * width * store.shard) * store.shard
        self.fitting = videos if 2 * width * videos <= store.budget else whole

    def __iter__(self) -> Iterator[range]:
        """Yields the videos of each shard that is within the budget."""
        for first in range(0, self.fitting, self.shard):
            yield range(first, min(first + self.shard, self.videos))

    def find(self, videos: range) -> Tensor | None:
        """Returns a shard's encodings, mapped; None where there are none, or (the observer is told) none to be trusted."""
        path = self._path(videos)
        if not path.is_file():
            return None
        try:
            return self._checked(path, videos)
        except ResultError as error:
            self._observer.message(f"{error}; the guide is asked again about its videos")
            return None

    def keep(self, videos: range, summaries: Tensor) -> None:
        """Writes a shard; raises `ResultError` where it cannot, with what was there untouched.

        Two processes may write the same shard: each puts a whole file with the same content in its place.
        """
        save_tensors(self._path(videos), {"summaries": summaries}, self._described(videos))

    def _checked(self, path: Path, videos: range) -> Tensor:
        tensors, about = load_tensors(
            path
        )  # which refuses a file of another length than its header says
        if about != self._described(videos):
            raise ResultError(f"'{path}' answers another question")
        kept = tensors.get("summaries")
        if kept is None or kept.dtype != torch.float16 or kept.shape != (len(videos), self.width):
            raise ResultError(f"'{path}' does not hold the {len(videos)} encodings that it names")
        return kept

    def _path(self, videos: range) -> Path:
        return self.folder / f"{videos.start // self.shard:05d}.safetensors"

    def _described(self, videos: range) -> dict[str, Any]:
        return {**self._about, "first": videos.start, "count": len(videos)}


class CachedOutputs:
    """The encodings that are kept, by the number of the shard they are in; each shard maps `shard` videos."""

    def __init__(self, shards: Mapping[int, Tensor], videos: int, width: int, shard: int) -> None:
        self._shards, self._width, self._shard = shards, width, shard
        self._held = torch.tensor(
            [n in shards for n in range(-(-videos // shard))], dtype=torch.bool
        )

    def all(self) -> bool:
        """Tells whether the encoding of every video is kept."""
        return bool(self._held.all())

    def has(self, videos: Tensor) -> Tensor:
        """Tells of which of the videos (B,) the encoding is kept: (B,) bool."""
        return self._held[videos // self._shard]

    def rows(self, videos: Tensor) -> Tensor:
        """Returns the encodings (B, E) in half precision of videos (B,), all of which are kept."""
        rows = [
            self._shards[video // self._shard][video % self._shard] for video in videos.tolist()
        ]
        return torch.stack(rows) if rows else torch.empty(0, self._width, dtype=torch.float16)
