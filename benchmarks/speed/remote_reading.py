"""What does it cost that shards are somewhere else? Run `python benchmarks/speed/remote_reading.py`; writes `benchmarks/speed/remote_reading.csv`.

Makes shards of YouTube-8M's shape, serves them by HTTP from a process of its own that waits 20 ms before each answer,
as a bucket nearby would, and reads random batches: from the folder, from blocks that are kept here, and without any.
All take turns, and the fastest of each is kept: the server shares the cores with the reader, and
with whatever else goes on. Requests and bytes are those of a video.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import socketserver
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import torch

from distillbench.data import ShardVideos, find_shards
from distillbench.data.batches import View, shuffled
from distillbench.data.remote.block_cache import block_cache
from distillbench.data.remote.connection import Connection
from distillbench_plugins.selectors.all import All
from distillbench_plugins.selectors.uniform import Uniform
from reading import BATCH, LISTS, made

VIEWS = {
    "k = 6": View(Uniform(6), 6, 0, training=True),
    "k = 30": View(Uniform(30), 30, 0, training=True),
    "all frames": View(All(300), 300, 0, training=True),
}
HERE = Path(__file__)
LARGE = 10**12


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    """Serves ranges of files, each after a delay."""

    protocol_version = "HTTP/1.1"
    folder = Path()
    delay = 0.0

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        time.sleep(self.delay)
        path = self.folder / self.path.strip("/")
        if not path.is_file():
            self.send_error(404)
            return
        size = path.stat().st_size
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        start, stop = (int(wanted[1]), int(wanted[2]) + 1) if wanted else (0, size)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if self.command == "GET":
            with path.open("rb") as file:
                while start < stop:
                    start += os.sendfile(
                        self.connection.fileno(), file.fileno(), start, stop - start
                    )


def serve(folder: Path, delay: float, pipe: Pipe) -> None:
    handler = type("Handler", (_Handler,), {"folder": folder, "delay": delay})
    with _Server(("127.0.0.1", 0), handler) as server:
        pipe.send(server.server_address[1])
        server.serve_forever()


@contextmanager
def serving(folder: Path, delay: float):
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=serve, args=(folder, delay, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


@dataclass
class Counted:
    """What was requested: how often, and how many bytes."""

    requests: int = 0
    bytes: int = 0


@contextmanager
def counted():
    """Counts the parts of files that are requested inside the `with` block."""
    found, read = Counted(), Connection.read

    def counting(self: Connection, key: str, start: int, stop: int) -> memoryview:
        found.requests += 1
        found.bytes += stop - start
        return read(self, key, start, stop)

    Connection.read = counting  # type: ignore[method-assign]
    try:
        yield found
    finally:
        Connection.read = read  # type: ignore[method-assign]


@dataclass(frozen=True)
class Way:
    """A way to read: how its videos are opened, and whether each epoch begins with an empty cache."""

    name: str
    open: Callable[[Path], ShardVideos]
    is_fresh: bool


def opened(where: str, cache: Path, budget: int) -> ShardVideos:
    with block_cache(str(cache), budget):
        return ShardVideos(find_shards(where), list(LISTS))


def epoch(videos: ShardVideos, view: View, batches: int, seed: int) -> None:
    for which in torch.split(shuffled(len(videos), seed), BATCH)[:batches]:
        videos.read(which, view.index(videos, which, 0))


def measured(ways: list[Way], folder: Path, batches: int, repeats: int) -> list[dict[str, object]]:
    held = {way.name: way.open(folder / "kept") for way in ways}
    rows = []
    for kind, view in VIEWS.items():
        seconds: dict[str, list[float]] = {way.name: [] for way in ways}
        requested: dict[str, Counted] = {}
        for repeat in range(repeats + 1):
            for way in ways:
                cache = folder / f"fresh-{way.name}-{kind}-{repeat}"
                videos = way.open(cache) if way.is_fresh else held[way.name]
                with counted() as found:
                    began = time.perf_counter()
                    epoch(videos, view, batches, seed=repeat)
                    seconds[way.name].append(time.perf_counter() - began)
                requested[way.name] = found
        count = min(batches * BATCH, len(held[ways[0].name]))
        for way in ways:
            rows.append(
                {
                    "way": way.name,
                    "frames": kind,
                    "videos_per_s": round(count / min(seconds[way.name][1:])),
                    "requests": round(requested[way.name].requests / count, 3),
                    "bytes": round(requested[way.name].bytes / count),
                    "load": round(os.getloadavg()[0], 1),
                }
            )
            print(*rows[-1].values(), sep="  ", flush=True)
    return rows


def indexed(folder: Path, url: str, shards: Path, count: int) -> list[dict[str, object]]:
    """Measures the first opening, which reads every byte: of the folder, and streamed."""
    rows = []
    for name, where in (("from the folder", str(shards)), ("by URL, streamed once", url)):
        os.environ["DISTILLBENCH_CACHE"] = str(folder / f"index {name}")
        for index in shards.glob(".*.index.safetensors"):
            index.unlink()
        with counted() as found:
            began = time.perf_counter()
            opened(where, folder / f"index {name} blocks", LARGE)
            taken = time.perf_counter() - began
        rows.append(
            {
                "way": name,
                "frames": "the first opening",
                "videos_per_s": round(count / taken),
                "requests": round(found.requests / count, 3),
                "bytes": round(found.bytes / count),
                "load": round(os.getloadavg()[0], 1),
            }
        )
        print(*rows[-1].values(), sep="  ", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=1024)
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--delay", type=float, default=0.02, help="seconds before each answer")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["DISTILLBENCH_CACHE"] = str(folder / "cache")
        shards = folder / "shards"
        made(shards, given.videos, 120, 300, LISTS, shard=given.videos // 4)
        with serving(shards, given.delay) as root:
            url = f"{root}/train{{0000..0003}}.tfrecord"
            ways = [
                Way("from the folder", partial(opened, str(shards), budget=0), False),
                Way("by URL, all blocks kept", partial(opened, url, budget=LARGE), False),
                Way("by URL, no block yet", partial(opened, url, budget=LARGE), True),
                Way("by URL, none kept", partial(opened, url, budget=0), False),
            ]
            rows = measured(ways, folder, given.batches, given.repeats)
            rows += indexed(folder, url, shards, given.videos)
    with HERE.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
