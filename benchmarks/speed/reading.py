"""How close to the machine's limits is reading? Run `python benchmarks/speed/reading.py`; writes `benchmarks/speed/reading.csv`.

Makes its own shards of YouTube-8M's shape in a temporary folder (24 kB to 345 kB a video) and reads them warm, cold and
for the first time. Runs of all contenders are interleaved and medians kept. What reads from memory is measured twice:
after it has read the same four times, and after nothing was done for a second.
Where a row has no peer but a bound that is to be kept, the bound stands as the peer. Peers come with
`pip install 'distillbench[bench]'`.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from crc32c import crc32c

from distillbench.data import ShardVideos, Video, find_shards, write_shard
from distillbench.data.batches import View, batches, shuffled
from distillbench.data.memory.threads import in_shares
from distillbench.data.tfrecord.index_cache import shard_indexes
from distillbench_plugins.selectors.all import All
from distillbench_plugins.selectors.uniform import Uniform
from measuring import Row, compared, interleaved, keep
from reading_peers import TensorFlow, data_loader, installed, tfrecord_package

BATCH = 256
LISTS = {"rgb": 1024, "audio": 128}
CLASSES = 3862
VIEWS = {
    "k = 30": View(Uniform(30), 30, 0, training=True),
    "k = 6": View(Uniform(6), 6, 0, training=True),
    "all frames": View(All(300), 300, 0, training=True),
}
TARGETS = {"k = 30": 8.0, "k = 6": 20.0, "all frames": 6.0}
COLD_BATCHES = 4
REHEARSALS = 4
REST = 1.0  # seconds
HERE = Path(__file__)


def made(
    folder: Path,
    count: int,
    shortest: int,
    longest: int,
    widths: Mapping[str, int],
    shard: int = 1000,
) -> list[Path]:
    """Writes videos of random bytes."""
    random = np.random.default_rng(0)

    def some(numbers: range) -> Iterator[Video]:
        for number in numbers:
            frames = int(random.integers(shortest, longest + 1))
            lists = {
                name: np.frombuffer(random.bytes(frames * width), np.uint8).reshape(frames, width)
                for name, width in widths.items()
            }
            yield Video(f"v{number:07d}", random.integers(0, CLASSES, 3).tolist(), lists)

    folder.mkdir()
    for start in range(0, count, shard):
        write_shard(
            folder / f"train{start // shard:04d}.tfrecord",
            some(range(start, min(start + shard, count))),
        )
    return find_shards(str(folder))


def opened(paths: list[Path]) -> ShardVideos:
    return ShardVideos(paths, list(LISTS), classes=CLASSES)


# ---------------------------------------------------------------------------------------------- warm


class Warm:
    """Reads all videos once in random batches, all of them being in memory."""

    def __init__(self, videos: ShardVideos, view: View) -> None:
        self.videos, self.view = videos, view
        self.order = shuffled(len(videos), 0)[: len(videos) // BATCH * BATCH]
        self._indexes = [
            (which, view.index(videos, which, 0)) for which in torch.split(self.order, BATCH)
        ]
        self._out = torch.zeros(
            max(index.numel() for _, index in self._indexes) * videos.width, dtype=torch.uint8
        )
        self.bytes = sum(int((index >= 0).sum()) for _, index in self._indexes) * videos.width
        self.slots = sum(index.numel() for _, index in self._indexes) * videos.width

    def ours(self) -> None:
        """Reads into memory that is used again and again."""
        for which, index in self._indexes:
            shape = (*index.shape, self.videos.width)
            self.videos.read(
                which, index, self._out[: index.numel() * self.videos.width].view(shape)
            )

    def random_pieces(self) -> None:
        """Copies as many bytes in random pieces of 1 KiB, in as many threads."""
        source = self._pieces()
        random = np.random.default_rng(0)
        for count, out in self._chunks():
            chosen = random.integers(0, len(source), count)
            in_shares(
                lambda some, at=chosen, to=out: np.take(source, at[some], 0, to[some], "clip"),
                count,
                out.nbytes,
            )  # type: ignore[misc]

    def pieces_in_order(self) -> None:
        """Copies as many bytes in pieces of 1 KiB that lie behind one another, apart as frames are."""
        arena = self.videos._bytes.files.bytes
        apart = np.ndarray((len(arena) // 1042 - 1, 1024), np.uint8, arena, 0, (1042, 1))
        start = 0
        for count, out in self._chunks():
            start = start if start + count <= len(apart) else 0
            in_shares(
                lambda some, of=apart[start:], to=out: np.copyto(to[some], of[some]),
                count,
                out.nbytes,
            )  # type: ignore[misc]
            start += count

    def _pieces(self) -> np.ndarray:
        arena = self.videos._bytes.files.bytes
        return arena[: len(arena) // 1024 * 1024].reshape(-1, 1024)

    def _chunks(self) -> Iterator[tuple[int, np.ndarray]]:
        count = self.bytes // 1024 // len(self._indexes)
        for _ in self._indexes:
            yield count, self._out[: count * 1024].numpy().reshape(-1, 1024)

    def pipeline(self) -> None:
        """Makes whole batches, with labels, as training does."""
        for _ in batches(self.videos, self.order, BATCH, {"": self.view}):
            pass

    def workers(self) -> None:
        """Has worker processes make the frames of whole batches."""
        for _ in data_loader(self.videos, self.order, BATCH, self.view, os.cpu_count() or 1):
            pass


def rates(
    jobs: Mapping[str, Callable[[], object]], count: int, repeats: int, **how: Any
) -> dict[str, float]:
    """Returns how many of so many videos each job reads a second."""
    return {job: count / taken for job, taken in interleaved(jobs, repeats, **how).items()}


def warm(videos: ShardVideos, repeats: int) -> list[Row]:
    """Compares reading from memory with tf.data, the tfrecord package, a DataLoader and bare copies."""
    rows = []
    tensorflow = TensorFlow(videos.paths, BATCH) if installed("tensorflow") else None
    for name, view in VIEWS.items():
        runs = Warm(videos, view)
        bare, limit = (
            ("1 KiB pieces in order", runs.pieces_in_order)
            if name == "all frames"
            else ("random 1 KiB pieces", runs.random_pieces)
        )
        peer = tensorflow and tensorflow.fastest(0 if name == "all frames" else view.slots)
        jobs: dict[str, Callable[[], object]] = {
            "ours": runs.ours,
            "limit": limit,
            "pipeline": runs.pipeline,
        }
        jobs |= {"workers": runs.workers} | ({"tf.data": peer} if peer else {})
        count = len(runs.order)
        rate = rates(jobs, count, repeats, rehearsals=REHEARSALS)
        alone = {job: jobs[job] for job in ("ours", "limit", "tf.data") if job in jobs}
        rested = rates(alone, count, repeats, rest=REST)
        for title, found, target in (
            (f"warm, {name}", rate, TARGETS[name]),
            (f"warm, {name}, after a second", rested, float("nan")),
        ):
            rows.append(
                compared(
                    title,
                    "videos/s",
                    found["ours"],
                    peer=("tf.data", found["tf.data"] * len(videos) / count) if peer else None,
                    limit=(bare, found["limit"]),
                    target=target if peer else float("nan"),
                    runs=repeats,
                )
            )
        loader = (f"DataLoader, {os.cpu_count()} workers", rate["workers"])
        read = ("reading alone", rate["ours"])
        rows.append(
            compared(
                f"batches with labels, {name}",
                "videos/s",
                rate["pipeline"],
                peer=loader,
                limit=read,
                runs=repeats,
            )
        )
        if name == "all frames":
            rows.append(
                compared(
                    "warm, all frames, share of memcpy",
                    "videos/s",
                    rate["ours"],
                    limit=(bare, rate["limit"]),
                    target=0.6,
                )
            )
            # Where a video has fewer frames than there are slots, ours writes zeros; a copy does not.
            ours, theirs = (
                rate[job] * size / count / 1e9
                for job, size in (("ours", runs.slots), ("limit", runs.bytes))
            )
            rows.append(
                compared("warm, all frames, bytes written", "GB/s", ours, limit=(bare, theirs))
            )
            if installed("tfrecord"):
                naive = ("tfrecord", tfrecord_package(videos.paths[0]))
                rows.append(compared("warm, all frames", "videos/s", rate["ours"], peer=naive))
    return rows


# ---------------------------------------------------------------------------------------------- cold


def forget(paths: list[Path]) -> None:
    """Has the system drop what it holds of files that nothing maps."""
    gc.collect()
    for path in paths:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Cold:
    """Reads a few batches of videos that are on the disk alone."""

    def __init__(self, paths: list[Path], view: View, way: str = "") -> None:
        """way: what is asked of the disk: '' as measured, 'none' nothing, or the name of one way."""
        self._paths, self._view, self._way = paths, view, way
        self._seen: dict[int, Any] = {}

    def __call__(self) -> float:
        """Returns videos a second; what was measured of the disk is remembered from one call to the next."""
        forget(self._paths)
        videos = opened(self._paths)
        ahead = videos._bytes.ahead  # type: ignore[attr-defined]
        ahead._seen = self._seen
        if self._way == "none":
            ahead.reading = lambda *_: nullcontext()
        elif self._way:
            reading, way = ahead.reading, self._way
            ahead.reading = lambda kind, count, ways: reading(
                kind, count, lambda: {way: ways()[way]}
            )
        order = shuffled(len(videos), int(time.time()))[: COLD_BATCHES * BATCH]
        out = torch.zeros(BATCH * 300 * videos.width, dtype=torch.uint8)
        began = time.perf_counter()
        for which in torch.split(order, BATCH):
            index = self._view.index(videos, which, 0)
            shape = (*index.shape, videos.width)
            videos.read(which, index, out[: index.numel() * videos.width].view(shape))
        return len(order) / (time.perf_counter() - began)


def direct(paths: list[Path]) -> Callable[[], float]:
    """Returns what measures the videos a second that `dd` with O_DIRECT would bring."""
    some = paths[: max(1, len(paths) // 4)]
    count = sum(len(index) for index in shard_indexes(some))

    def run() -> float:
        forget(some)
        began = time.perf_counter()
        for path in some:
            subprocess.run(
                ["dd", f"if={path}", "of=/dev/null", "iflag=direct", "bs=4M"],
                check=True,
                capture_output=True,
            )
        return count / (time.perf_counter() - began)

    return run


def cold(paths: list[Path], repeats: int) -> list[Row]:
    """Compares reading from the disk with touching the mapped pages, with other ways of asking, and with dd."""
    jobs: dict[str, Callable[[], float]] = {"dd": direct(paths)}
    for name, view in VIEWS.items():
        ways = ("", "none", "spans", "frames") if name == "k = 6" else ("", "none")
        jobs |= {f"{name}{way}": Cold(paths, view, way) for way in ways}
    seen: dict[str, list[float]] = {name: [] for name in jobs}
    for repeat in range(repeats + 1):
        for name, job in jobs.items():
            found = job()
            seen[name] += [found] if repeat else []  # the first call tries every way of asking
    rate = {name: statistics.median(each) for name, each in seen.items()}
    limit = ("dd, O_DIRECT", rate["dd"])
    rows = []
    for name in VIEWS:
        bare = limit if name == "all frames" else None
        target = 0.9 if bare else float("nan")
        touched = ("touching the map", rate[f"{name}none"])
        rows.append(
            compared(
                f"cold, {name}", "videos/s", rate[name], peer=touched, limit=bare, runs=repeats
            )
        )
        if bare:
            rows.append(
                compared(
                    "cold, all frames, share of the disk",
                    "videos/s",
                    rate[name],
                    limit=bare,
                    target=target,
                )
            )
    for way in ("spans", "frames"):
        asked = (f"asking for {way} only", rate[f"k = 6{way}"])
        rows.append(compared("cold, k = 6", "videos/s", rate["k = 6"], peer=asked, runs=repeats))
    return rows


# ---------------------------------------------------------------------------------------------- indexing and memory


def forget_indexes(paths: list[Path]) -> None:
    for path in paths:
        path.with_name(f".{path.name}.index.safetensors").unlink(missing_ok=True)


def indexing(paths: list[Path], repeats: int) -> list[Row]:
    """Makes every index, against nothing but the checksums of the same bytes in as many threads."""

    def index() -> None:
        forget_indexes(paths)
        shard_indexes(paths)

    def checksums() -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda path: crc32c(np.memmap(path, np.uint8, "r").data), paths))

    seconds = interleaved({"ours": index, "limit": checksums}, repeats)
    videos = sum(len(each) for each in shard_indexes(paths))
    size = sum(path.with_name(f".{path.name}.index.safetensors").stat().st_size for path in paths)
    limit = ("CRC-32C alone", videos / seconds["limit"])
    bound = ("to be reached", 15_000.0)
    return [
        compared(
            "index, all bytes verified",
            "videos/s",
            videos / seconds["ours"],
            peer=bound,
            limit=limit,
            target=1.0,
            runs=repeats,
        ),
        compared("index kept", "bytes/video", size / videos, peer=("allowed", 400.0), target=1.0),
    ]


def memory(folder: Path, paths: list[Path], quick: bool) -> list[Row]:
    """Measures, in fresh processes, the anonymous memory that opening, splitting and one epoch add."""
    sizes = (5_000, 20_000) if quick else (50_000, 200_000)
    tiny = made(folder / "tiny", sizes[-1], 6, 6, {"rgb": 8, "audio": 2}, shard=5_000)
    shard_indexes(tiny)
    rows = []
    for some in (paths, *(tiny[: size // 5_000] for size in sizes)):
        program = [
            sys.executable,
            str(HERE),
            "--memory-of",
            str(some[0].parent),
            "--videos",
            str(len(some)),
        ]
        said = subprocess.run(program, check=True, capture_output=True, text=True).stdout.split()
        allowed = ("allowed", 64 + float(said[2]))
        rows.append(
            compared(
                f"memory of a loader, {int(said[0])} videos",
                "MiB",
                float(said[1]),
                peer=allowed,
                target=1.0,
            )
        )
    return rows


def anonymous() -> float:
    """Returns this process's anonymous memory in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def memory_of(folder: Path, shards: int) -> None:
    """Prints how many videos some shards have, the most memory in MiB that reading them added, and that of 4 batches."""
    import threading

    from distillbench.data import split_by_hash, splits_of

    seen = [anonymous()]

    def watch() -> None:
        while True:
            seen.append(anonymous())
            time.sleep(0.001)

    view = VIEWS["k = 6"]
    threading.Thread(target=watch, daemon=True).start()
    videos = opened(find_shards(str(folder))[:shards])
    train = splits_of(videos, *split_by_hash(videos.ids, 0.1, 0.1)).train
    size = 0
    for batch in batches(train, shuffled(len(train), 0), BATCH, {"": view}):
        size = max(size, batch.clips[""].frames.nbytes + batch.labels.nbytes)
    print(len(videos), max(seen) - seen[0], 4 * size / 2**20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=4000)
    parser.add_argument(
        "--quick", action="store_true", help="few videos and one run each, to see that it works"
    )
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory_of:
        memory_of(arguments.memory_of, arguments.videos)
        return
    repeats = 1 if arguments.quick else 3
    with tempfile.TemporaryDirectory(prefix="distillbench-reading-") as folder:
        count = min(arguments.videos, 1000) if arguments.quick else arguments.videos
        paths = made(Path(folder, "shards"), count, 120, 300, LISTS)
        rows = indexing(paths, repeats)
        rows += memory(Path(folder), paths, arguments.quick)
        rows += cold(paths, repeats)
        rows += warm(opened(paths), repeats)
    keep(rows, HERE.with_suffix(".csv"))


if __name__ == "__main__":
    main()
