"""Other readers of the same shards: the strongest `tf.data` we could write, the `tfrecord` package, a torch DataLoader.

`python benchmarks/speed/reading_peers.py FOLDER` prints how many videos a second the `tfrecord` package reads: it and
TensorFlow define the same protocol buffers, so that they cannot be loaded into one process.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from distillbench.data import ShardVideos
from distillbench.data.batches import View

_WIDTHS = {"rgb": 1024, "audio": 128}


def installed(package: str) -> bool:
    """Tells whether a peer is installed, and names it where it is not."""
    found = importlib.util.find_spec(package) is not None
    if not found:
        print(f"{package} is not installed: left out (pip install 'distillbench[bench]')")
    return found


class TensorFlow:
    """`tf.data` pipelines that read all videos once, in random batches, and decode only the frames wanted."""

    def __init__(self, paths: Sequence[Path], batch: int) -> None:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        self._tf = importlib.import_module("tensorflow")
        self._batch = batch
        files = self._tf.data.TFRecordDataset([str(path) for path in paths])
        self._records = files.cache()  # in memory: no reading of files, no checksums

    def fastest(self, k: int) -> Callable[[], int]:
        """Tries every pipeline for `k` frames (0: all) and returns the one that took least."""
        taken = {}
        for name in (
            ("a video at a time", "16 at a time", "a batch at a time")
            if k
            else ("a video at a time",)
        ):
            pipeline = self._pipeline(name, k)
            for _ in range(2):  # the first fills the cache and lets it tune itself
                began = time.perf_counter()
                _count(pipeline)
                taken[name] = time.perf_counter() - began, pipeline
            print(
                f"tf.data, {k or 'all'} frames, parsing {name}: {taken[name][0]:.2f} s", flush=True
            )
        best = min(taken.values(), key=lambda each: each[0])[1]
        return lambda: _count(best)

    def _pipeline(self, name: str, k: int) -> Any:
        auto = self._tf.data.AUTOTUNE
        records = self._records.shuffle(512)
        if name == "a video at a time":
            parsed = records.map(lambda record: self._one(record, k), auto, deterministic=False)
            batches = (
                parsed.batch(self._batch, num_parallel_calls=auto)
                if k
                else parsed.padded_batch(self._batch)
            )
        else:
            together = 16 if name == "16 at a time" else self._batch
            batches = records.batch(together).map(
                lambda some: self._many(some, k), auto, deterministic=False
            )
            batches = batches.rebatch(self._batch) if together < self._batch else batches
        return batches.prefetch(auto)

    def _lists(self) -> dict[str, Any]:
        return {name: self._tf.io.FixedLenSequenceFeature([], self._tf.string) for name in _WIDTHS}

    def _one(self, record: Any, k: int) -> Any:
        tf = self._tf
        _, lists = tf.io.parse_single_sequence_example(record, sequence_features=self._lists())
        if k:
            at = tf.range(k) * tf.shape(lists["rgb"])[0] // k
            lists = {name: tf.gather(each, at) for name, each in lists.items()}
        decoded = [
            tf.reshape(tf.io.decode_raw(lists[name], tf.uint8), [-1, width])
            for name, width in _WIDTHS.items()
        ]
        return tf.concat(decoded, 1)

    def _many(self, records: Any, k: int) -> Any:
        tf = self._tf
        _, lists, lengths = tf.io.parse_sequence_example(records, sequence_features=self._lists())
        at = lengths["rgb"][:, None] * tf.range(k, dtype=tf.int64) // k
        chosen = [tf.gather(lists[name], at, batch_dims=1) for name in _WIDTHS]
        return tf.concat([tf.io.decode_raw(each, tf.uint8) for each in chosen], 2)


def _count(pipeline: Any) -> int:
    return sum(int(batch.shape[0]) for batch in pipeline)


class _Batches(Dataset[Tensor]):
    """Item: the frames of one whole batch, read in the worker."""

    def __init__(self, videos: ShardVideos, view: View) -> None:
        self._videos, self._view = videos, view

    def __getitem__(self, which: Tensor) -> Tensor:  # type: ignore[override]
        return self._videos.read(which, self._view.index(self._videos, which, 0))


def data_loader(
    videos: ShardVideos, order: Tensor, size: int, view: View, workers: int
) -> Iterator[Tensor]:
    """Reads with worker processes that hand whole batches over in shared memory."""
    groups: Any = list(torch.split(order, size))
    return iter(
        DataLoader(_Batches(videos, view), batch_size=None, sampler=groups, num_workers=workers)
    )


def tfrecord_package(shard: Path) -> float:
    """Returns how many videos a second the `tfrecord` package reads from one shard, in a process of its own."""
    said = subprocess.run(
        [sys.executable, __file__, str(shard)], capture_output=True, text=True, check=True
    )
    return float(said.stdout.split()[-1])


def main() -> None:
    loader = importlib.import_module("tfrecord").tfrecord_loader
    lists = dict.fromkeys(_WIDTHS, "byte")
    began = time.perf_counter()
    videos = sum(1 for _ in loader(sys.argv[1], None, {"id": "byte"}, sequence_description=lists))
    print(videos / (time.perf_counter() - began))


if __name__ == "__main__":
    main()
