"""What does reading features cost in each format? Run `python benchmarks/speed/feature_formats.py`; writes `feature_formats.csv`.

Makes the same arrays of float16, (300, 128) each, in every format in a temporary folder, and reads them in random batches, all in
the memory of the system: 6, 15 and 30 frames of a video, and all 300. The peer is what the format's own library does for a video
after the other. `bytes a video` are those that a result counts: of the chosen frames where the format is read by the frame,
else of whole videos. Needs `pip install 'distillbench[hdf5]'`.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from distillbench.data import ArrowFormat, FeatureSource, NpyFolder, RowColumns, ShardSource, pack
from distillbench.interfaces import Videos
from distillbench_plugins.datasets.hdf5 import Hdf5Format
from distillbench_plugins.datasets.parquet import ParquetFormat
from distillbench_plugins.datasets.webdataset import TarFormat
from measuring import Row, compared, interleaved, keep

FRAMES, WIDTH, BATCH, ROWS = 300, 128, 256, 50
CHOSEN = {k: torch.arange(FRAMES // k // 2, FRAMES, FRAMES // k)[:k] for k in (6, 15, 30, FRAMES)}
SLOW = 12  # videos that a peer reads which takes long

Peer = Callable[[int, np.ndarray], np.ndarray]


class Written:
    """The same arrays in every format."""

    def __init__(self, folder: Path, count: int) -> None:
        random = np.random.default_rng(0)
        self.folder = folder
        self.ids = [f"v{number:06d}" for number in range(count)]
        self.arrays = random.standard_normal((count, FRAMES, WIDTH), np.float32).astype(np.float16)
        for name in ("npy", "hdf5", "chunks", "arrow", "tar", "parquet"):
            (folder / name).mkdir()
            self._write_labels(folder / name)
        self._write_npy()
        self._write_hdf5("hdf5")
        self._write_hdf5("chunks", chunks=(10, WIDTH), compression="gzip", compression_opts=1)
        self._write_tables()
        self._write_tar()

    def _write_labels(self, folder: Path) -> None:
        with (folder / "labels.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("id", "labels"), *((name, "a;b") for name in self.ids)])

    def _write_npy(self) -> None:
        for name, array in zip(self.ids, self.arrays, strict=True):
            np.save(self.folder / "npy" / f"{name}.npy", array)

    def _write_hdf5(self, to: str, **how: object) -> None:
        with h5py.File(self.folder / f"{to}/x.h5", "w") as file:
            for name, array in zip(self.ids, self.arrays, strict=True):
                file.create_dataset(name, data=array, **how)

    def _write_tables(self) -> None:
        frames = pa.ListArray.from_arrays(
            np.arange(len(self.ids) * FRAMES + 1, dtype=np.int32) * WIDTH,
            pa.array(self.arrays.ravel()),
        )
        column = pa.ListArray.from_arrays(
            np.arange(len(self.ids) + 1, dtype=np.int32) * FRAMES, frames
        )
        table = pa.table({"id": self.ids, "frames": column})
        with pa.ipc.new_stream(self.folder / "arrow/x.arrow", table.schema) as file:
            file.write_table(table, max_chunksize=ROWS)
        pq.write_table(table, self.folder / "parquet/x.parquet", row_group_size=ROWS)

    def _write_tar(self) -> None:
        with tarfile.open(self.folder / "tar/x.tar", "w") as tar:
            for name, array in zip(self.ids, self.arrays, strict=True):
                file = io.BytesIO()
                np.save(file, array)
                for ending, content in (
                    (".npy", file.getvalue()),
                    (".json", json.dumps({"title": name}).encode()),
                ):
                    member = tarfile.TarInfo(name + ending)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))

    # Readers of a video's frames, one by each format's own library.

    def npy(self, video: int, frames: np.ndarray) -> np.ndarray:
        """Reads by numpy."""
        return np.asarray(
            np.load(self.folder / f"npy/{self.ids[video]}.npy", mmap_mode="r")[frames]
        )

    def h5py(self, to: str) -> Peer:
        """Returns what reads by h5py."""
        file = h5py.File(self.folder / f"{to}/x.h5")
        return lambda video, frames: file[self.ids[video]][frames]

    def arrow(self) -> Peer:
        """Returns what reads by pyarrow."""
        with pa.memory_map(str(self.folder / "arrow/x.arrow")) as source:
            column = pa.ipc.open_stream(source).read_all()["frames"]

        def read(video: int, frames: np.ndarray) -> np.ndarray:
            row = column.chunk(video // ROWS)[video % ROWS].values
            return row.flatten().to_numpy().reshape(FRAMES, WIDTH)[frames]

        return read

    def tar(self) -> Peer:
        """Returns what reads by tarfile."""
        tar = tarfile.open(self.folder / "tar/x.tar")  # noqa: SIM115 - read until the end
        members = {member.name: member for member in tar}

        def read(video: int, frames: np.ndarray) -> np.ndarray:
            content = tar.extractfile(members[f"{self.ids[video]}.npy"]).read()  # type: ignore[union-attr]
            return np.load(io.BytesIO(content))[frames]

        return read

    def parquet(self) -> Peer:
        """Returns what reads by pyarrow."""
        file = pq.ParquetFile(self.folder / "parquet/x.parquet")

        def read(video: int, frames: np.ndarray) -> np.ndarray:
            rows = file.read_row_group(video // ROWS, columns=["frames"])["frames"]
            row = rows.chunk(0)[video % ROWS].values
            return row.flatten().to_numpy().reshape(FRAMES, WIDTH)[frames]

        return read


def reading(videos: Videos, frames: torch.Tensor) -> Callable[[], None]:
    """Returns what reads all videos once, in one random order, into memory that is used again."""
    order = torch.randperm(len(videos), generator=torch.Generator().manual_seed(0))
    out = torch.empty(BATCH, len(frames), WIDTH, dtype=torch.float16)

    def read() -> None:
        for which in torch.split(order, BATCH):
            videos.read(which, frames.expand(len(which), -1), out[: len(which)])

    return read


def one_by_one(peer: Peer, count: int, frames: torch.Tensor, some: int) -> Callable[[], None]:
    order = np.random.default_rng(0).permutation(count)[:some].tolist()
    chosen = frames.numpy()

    def read() -> None:
        out = np.empty((len(chosen), WIDTH), np.float16)
        for video in order:
            out[:] = peer(video, chosen)

    return read


@dataclass(frozen=True)
class Subject:
    """A format to read: its videos, and what its own library does for so many of them."""

    title: str
    videos: Videos
    peer_name: str = ""
    peer: Peer | None = None
    some: int = 0


def rows_of(subjects: Sequence[Subject], repeats: int) -> list[Row]:
    """Reads every format in turn, again and again, so that what else goes on slows all alike."""
    rows: dict[str, list[Row]] = {each.title: [] for each in subjects}
    for k, frames in CHOSEN.items():
        runs: dict[str, Callable[[], object]] = {}
        for each in subjects:
            runs[each.title] = reading(each.videos, frames)
            if each.peer is not None:
                peer = one_by_one(each.peer, len(each.videos), frames, each.some)
                runs[f"peer of {each.title}"] = peer
        seconds = interleaved(runs, repeats)
        for each in subjects:
            size = (k if each.videos.sparse else FRAMES) * WIDTH * 2
            taken = seconds.get(f"peer of {each.title}")
            title = f"k = {k}" if k < FRAMES else "all 300"
            rows[each.title].append(
                compared(
                    f"{each.title}, {title}, {size / 1000:.1f} kB a video",
                    "videos/s",
                    len(each.videos) / seconds[each.title],
                    peer=None if taken is None else (each.peer_name, each.some / taken),
                    runs=repeats,
                )
            )
    return [row for found in rows.values() for row in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="distillbench-formats-") as place:
        os.environ["DISTILLBENCH_CACHE"] = str(Path(place, "cache"))
        made = Written(Path(place), arguments.videos)
        forms = {
            "npy": (NpyFolder(), ("np.load, mapped", made.npy)),
            "hdf5": (Hdf5Format(""), ("h5py", made.h5py("hdf5"))),
            "chunks": (Hdf5Format(""), ("h5py", made.h5py("chunks"))),
            "arrow": (ArrowFormat(RowColumns()), ("pyarrow", made.arrow())),
            "tar": (TarFormat("npy"), ("tarfile", made.tar())),
            "parquet": (ParquetFormat(RowColumns()), ("pyarrow", made.parquet())),
        }
        titles = {
            "npy": "npy",
            "hdf5": "HDF5 in one piece",
            "chunks": "HDF5 in chunks of 10, gzip",
            "arrow": "Arrow",
            "tar": "WebDataset",
            "parquet": "parquet, converted",
        }
        subjects = []
        for name, (form, (peer_name, peer)) in forms.items():
            source = FeatureSource(
                dir=str(Path(place, name)), validation_share=0.01, test_share=0.01
            )
            splits = source.splits(form)
            some = SLOW if name == "parquet" else arguments.videos // 4
            subjects.append(Subject(titles[name], splits.train, peer_name, peer, some))
            if name == "npy":
                pack(splits, Path(place, "packed"))
        packed = ShardSource(dir=str(Path(place, "packed")), features="", normalise="none").splits()
        subjects.append(Subject("packed shards", packed.train))
        rows = rows_of(subjects, arguments.repeats)
    keep(rows, Path(__file__).with_suffix(".csv"))


if __name__ == "__main__":
    main()
