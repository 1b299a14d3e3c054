"""The errors of `distillbench run` about shards that cannot be trained on."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distillbench.data import Video, write_shard

Command = Callable[..., tuple[int, str, str]]
TRAINING = [
    "--epochs",
    "1",
    "--k",
    "2",
    "--schedule",
    "scratch",
    "--batch-size",
    "16",
    "--set",
    "student.cell_size=8",
]


def video(
    number: int,
    *,
    width: int = 16,
    labels: list[int] | None = None,
    labelled: bool = True,
    frames: int = 4,
) -> Video:
    values = np.random.default_rng(number).integers(0, 256, (frames, width), dtype=np.uint8)
    chosen = (labels or [number % 3]) if labelled else None
    return Video(f"v{number:03d}", chosen, {"audio_embedding": values})


def shard(path: Path, count: int = 60) -> Path:
    write_shard(path, [video(number) for number in range(count)], "video_id")
    return path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path / "cache"))


def second_record(content: bytes) -> int:
    return int(struct.unpack_from("<Q", content)[0]) + 16


def missing(folder: Path) -> None:
    folder.rmdir()


def empty(folder: Path) -> None:
    pass


def no_tfrecord(folder: Path) -> None:
    (folder / "a.tfrecord").write_bytes(b"PK\x03\x04 this is a zip archive, not a shard" * 9)


def empty_file(folder: Path) -> None:
    (folder / "a.tfrecord").write_bytes(b"")


def truncated(folder: Path) -> None:
    path = shard(folder / "a.tfrecord")
    path.write_bytes(path.read_bytes()[:-7])


def flipped_payload(folder: Path) -> None:
    path = shard(folder / "a.tfrecord")
    content = bytearray(path.read_bytes())
    content[40] ^= 4  # in the first record's payload
    path.write_bytes(content)


def flipped_length(folder: Path) -> None:
    path = shard(folder / "a.tfrecord")
    content = bytearray(path.read_bytes())
    content[second_record(content)] ^= 4
    path.write_bytes(content)


def huge_length(folder: Path) -> None:
    path = shard(folder / "a.tfrecord")
    content = bytearray(path.read_bytes())
    at = second_record(content)
    content[at : at + 8] = struct.pack("<Q", 1 << 60)
    path.write_bytes(content)


def unlabelled(folder: Path) -> None:
    write_shard(folder / "a.tfrecord", [video(n, labelled=False) for n in range(60)], "video_id")


def changing_width(folder: Path) -> None:
    write_shard(
        folder / "a.tfrecord", [video(n, width=16 if n < 50 else 17) for n in range(60)], "video_id"
    )


def k_too_large(folder: Path) -> None:
    write_shard(folder / "a.tfrecord", [video(n, frames=1) for n in range(60)], "video_id")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (missing, "no such folder"),
        (empty, "no *.tfrecord"),
        (no_tfrecord, "not a TFRecord"),
        (empty_file, "empty"),
        (truncated, "truncated"),
        (flipped_payload, "its payload fails its checksum"),
        (flipped_length, "length"),
        (huge_length, "length"),
        (unlabelled, "label"),
        (changing_width, "wide, where that of"),
        (k_too_large, "k = 2 is more than any video has"),
    ],
)
def test_a_shard_that_cannot_be_used_gets_one_clear_error(
    command: Command, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    folder, results = tmp_path / "shards", tmp_path / "results"
    folder.mkdir()
    damage(folder)
    code, out, err = command(
        "run", "--data", "audioset", "--data-dir", folder, *TRAINING, "--results", results
    )
    error = " ".join(err.partition("error:")[2].split())
    assert code == 2, err
    assert message in error
    assert "shards" in error or "k =" in error  # the error names the shard or setting
    assert "Traceback" not in err + out
    assert not list(results.glob("*.json"))


def test_a_video_level_shard_is_called_that(
    command: Command, tmp_path: Path, real_data: Path
) -> None:
    arguments = [
        "run",
        "--data",
        "yt8m",
        "--set",
        f"data.train={real_data / 'yt8m' / 'video_level*.tfrecord'}",
    ]
    code, _, err = command(*arguments, *TRAINING, "--results", tmp_path)
    assert code == 2
    assert "this is a video-level shard" in " ".join(err.split())


def test_bad_records_can_be_left_out_and_are_counted(command: Command, tmp_path: Path) -> None:
    folder, results = tmp_path / "shards", tmp_path / "results"
    folder.mkdir()
    flipped_payload(folder)
    arguments = ["run", "--data", "audioset", "--data-dir", folder, *TRAINING, "--results", results]
    code, _, err = command(*arguments, "--skip-bad-records")
    assert code == 0, err
    assert "1" in err
    row = json.loads(next(results.glob("*.json")).read_text())
    assert sum(row["data"]["videos"].values()) == 59


def test_k_larger_than_some_videos_is_fine(command: Command, tmp_path: Path) -> None:
    folder, results = tmp_path / "shards", tmp_path / "results"
    folder.mkdir()
    write_shard(folder / "a.tfrecord", [video(n, frames=1 + n % 4) for n in range(60)], "video_id")
    arguments = ["run", "--data", "audioset", "--data-dir", folder, *TRAINING, "--results", results]
    assert command(*arguments, "--k", "4")[0] == 0


def file_in_the_way(to: Path) -> Path:
    to.touch()
    return to


def file_above(to: Path) -> Path:
    to.touch()
    return to / "deeper"


def folder_where_a_list_goes(to: Path) -> Path:
    (to / "train.txt").mkdir(parents=True)
    return to


@pytest.mark.parametrize("block", [file_in_the_way, file_above, folder_where_a_list_goes])
def test_lists_of_ids_that_cannot_be_written_are_one_clear_error(
    command: Command, tmp_path: Path, block: Callable[[Path], Path]
) -> None:
    folder, to = tmp_path / "shards", block(tmp_path / "ids")
    folder.mkdir()
    shard(folder / "a.tfrecord")
    code, out, err = command(
        "data", "split", "--data", "audioset", "--data-dir", folder, "--to", to
    )
    error = " ".join(err.partition("error:")[2].split())
    assert code == 2, err
    assert "the lists of ids cannot be written there" in error
    assert "name a folder that can be made or written to" in error
    assert "Traceback" not in err + out


def test_a_split_is_saved_as_lists_of_ids_and_used_again(command: Command, tmp_path: Path) -> None:
    folder, ids = tmp_path / "shards", tmp_path / "ids"
    folder.mkdir()
    shard(folder / "a.tfrecord")
    code, out, err = command(
        "data", "split", "--data", "audioset", "--data-dir", folder, "--to", ids
    )
    assert code == 0, err
    saved = {
        name: (ids / f"{name}.txt").read_text().split() for name in ("train", "validation", "test")
    }
    assert sum(map(len, saved.values())) == 60
    assert f"{len(saved['test'])} test ids" in out
    again = tmp_path / "again"
    arguments = [
        "data",
        "split",
        "--data",
        "audioset",
        "--data-dir",
        folder,
        "--set",
        "data.split_seed=5",
    ]
    command(*arguments, "--set", f"data.ids={ids}", "--to", again)
    assert {name: (again / f"{name}.txt").read_text().split() for name in saved} == saved
