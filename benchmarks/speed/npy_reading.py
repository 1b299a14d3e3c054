"""What does a folder of arrays cost? Run `python benchmarks/speed/npy_reading.py`; writes `benchmarks/speed/npy_reading.csv`.

Makes arrays of float16, (300, 128) each, in a temporary folder and reads them in random batches, all in the memory of the
system: 6 frames a video, and all 300. The peer is `numpy.load(path, mmap_mode="r")[frames]`, a video at a time. The limit
is a bare loop of `open`, `pread` and `close`, which looks at nothing. The folder is opened, too: every header is read.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import torch

from distillbench.data import NpyVideos, npy_array
from distillbench.interfaces import Labels
from measuring import Row, compared, interleaved, keep

FRAMES, WIDTH, BATCH = 300, 128, 256
HEADER, FRAME = 128, 2 * WIDTH  # bytes
K = {"k = 6 of 300": torch.arange(25, 300, 50), "all 300 frames": torch.arange(FRAMES)}


def made(folder: Path, count: int) -> list[str]:
    random = np.random.default_rng(0)
    paths = [str(folder / f"v{number:06d}.npy") for number in range(count)]
    for path in paths:
        np.save(path, random.standard_normal((FRAMES, WIDTH)).astype(np.float16))
    return paths


def opened(paths: list[str]) -> NpyVideos:
    ends = torch.zeros(len(paths) + 1, dtype=torch.int64)
    return NpyVideos([npy_array(path) for path in paths], paths, Labels(ends, ends[:0], 1))


class Reading:
    """Reads some frames of all videos once, in one random order."""

    def __init__(self, videos: NpyVideos, paths: list[str], frames: torch.Tensor) -> None:
        self._videos, self._paths, self._frames = videos, paths, frames
        order = torch.randperm(len(paths), generator=torch.Generator().manual_seed(0))
        self._batches = torch.split(order, BATCH)
        self._out = torch.empty(BATCH, len(frames), WIDTH, dtype=torch.float16)

    def ours(self) -> None:
        """Reads into memory that is used again and again."""
        for which in self._batches:
            index = self._frames.expand(len(which), -1)
            self._videos.read(which, index, self._out[: len(which)])

    def numpy_load(self) -> None:
        """Maps each file and copies its frames."""
        frames, out = self._frames.numpy(), self._out.numpy()
        for which in self._batches:
            for row, video in enumerate(which.tolist()):
                out[row] = np.load(self._paths[video], mmap_mode="r")[frames]

    def bare(self) -> None:
        """Reads the same bytes and throws them away."""
        whole = len(self._frames) == FRAMES
        spans = (
            [(HEADER, FRAMES * FRAME)]
            if whole
            else [(HEADER + FRAME * f, FRAME) for f in self._frames.tolist()]
        )
        for which in self._batches:
            for video in which.tolist():
                file = os.open(self._paths[video], os.O_RDONLY)
                for offset, size in spans:
                    os.pread(file, size, offset)
                os.close(file)


def reading(paths: list[str], repeats: int) -> list[Row]:
    videos = opened(paths)
    rows = []
    for name, frames in K.items():
        job = Reading(videos, paths, frames)
        seconds = interleaved({"ours": job.ours, "load": job.numpy_load, "bare": job.bare}, repeats)
        rate = {run: len(paths) / taken for run, taken in seconds.items()}
        rows.append(
            compared(
                f"arrays, {name}",
                "videos/s",
                rate["ours"],
                peer=("np.load, mapped", rate["load"]),
                limit=("open, pread, close", rate["bare"]),
                runs=repeats,
            )
        )
    return rows


def opening(paths: list[str], repeats: int) -> Row:
    def loaded() -> None:
        for path in paths:
            np.load(path, mmap_mode="r")

    seconds = interleaved({"ours": lambda: opened(paths), "load": loaded}, repeats)
    rate = {run: len(paths) / taken for run, taken in seconds.items()}
    peer = ("np.load, mapped", rate["load"])
    return compared("arrays, headers read", "videos/s", rate["ours"], peer=peer, runs=repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="distillbench-npy-") as folder:
        paths = made(Path(folder), arguments.videos)
        rows = [*reading(paths, arguments.repeats), opening(paths, arguments.repeats)]
    keep(rows, Path(__file__).with_suffix(".csv"))


if __name__ == "__main__":
    main()
