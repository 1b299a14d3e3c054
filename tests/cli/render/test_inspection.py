"""What `distillbench data inspect` prints: enough to act on, for any number of files and errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data.wire import context, frame, listed, record

from distillbench.data import Video, write_shard
from distillbench.data.tfrecord.framing import write_record

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def printed(command: Command) -> Callable[[Path], list[str]]:
    def call(path: Path) -> list[str]:
        code, out, err = command("data", "inspect", path)
        assert (code in (0, 1), err) == (True, "")  # 1: where a record is bad
        return [line.rstrip() for line in out.splitlines()]

    return call


Printed = Callable[[Path], list[str]]


def shard(path: Path, videos: int = 1) -> None:
    write_shard(
        path,
        [Video(f"v{number}", [0], {"rgb": np.ones((2, 4), np.uint8)}) for number in range(videos)],
    )


def reasons(path: Path, count: int) -> Path:
    """Writes a shard of as many bad records, each bad for a reason that differs in more than numbers."""
    with path.open("wb") as file:
        for number in range(count):
            name = "abcdefghijklmnopqrstuvwxyz"[number % 26] * (1 + number // 26)
            write_record(file, record(context(f"mean_{name}".encode(), b""), lists=b""))
    return path


def test_files_that_are_no_shards_share_one_line(printed: Printed, tmp_path: Path) -> None:
    for number in range(600):
        (tmp_path / f"{number}.npy").touch()
    lines = printed(tmp_path)
    assert len(lines) == 2
    assert lines[0] == "600 files of another kind (.npy)"
    assert lines[1].startswith("no shard found: in a folder only *.tfrecord are read")


def test_endings_are_counted_most_frequent_first(printed: Printed, tmp_path: Path) -> None:
    shard(tmp_path / "a.tfrecord")
    for name in ("a.csv", "b.npy", "c.NPY", "README"):
        (tmp_path / name).touch()
    lines = printed(tmp_path)
    assert lines[1].startswith("a.tfrecord")
    assert lines[2:] == ["4 files of another kind (2 .npy, 1 without an ending, 1 .csv)"]
    for number in range(20):
        (tmp_path / f"a.{number}").touch()
    assert printed(tmp_path)[-1].endswith(", and 15 more)")


def test_of_many_shards_forty_are_listed_and_all_are_summed_up(
    printed: Printed, tmp_path: Path
) -> None:
    for number in range(50):
        shard(tmp_path / f"{number:02d}.tfrecord")
    reasons(tmp_path / "99.tfrecord", 2)
    lines = printed(tmp_path)
    assert len(lines) == 1 + 40 + 2 + 2, lines
    assert lines[40].startswith("99.tfrecord")  # those with bad records are among the forty
    assert lines[41].startswith("and 11 more")
    assert lines[42].split()[:4] == ["all", "shards", "frame-level", "50"]


def test_a_file_has_ten_reasons_at_most(printed: Printed, tmp_path: Path) -> None:
    lines = printed(reasons(tmp_path / "a.tfrecord", 71))
    shown = [line for line in lines if line.startswith("a.tfrecord: ")]
    assert len(shown) == 11
    assert shown[-1] == "a.tfrecord: and 61 more reasons, of 61 records"


def test_damaged_files_that_are_not_listed_are_counted(printed: Printed, tmp_path: Path) -> None:
    for number in range(45):
        reasons(tmp_path / f"{number:02d}.tfrecord", 1)
    assert printed(tmp_path)[-1] == "and 5 more files with bad records"


def test_many_and_long_names_stay_short(printed: Printed, tmp_path: Path) -> None:
    with (tmp_path / "a.tfrecord").open("wb") as file:
        lists = b"".join(
            listed(name.encode(), frame(b"abc")) for name in ["x" * 9000, *map(str, range(200))]
        )
        write_record(file, record(lists=lists))
        means = b"".join(context(f"mean_{number}".encode() * 40, b"") for number in range(99))
        write_record(file, record(means, lists=b""))
    lines = printed(tmp_path / "a.tfrecord")
    assert sum(map(len, lines)) < 2000
    assert "and 193 more" in " ".join(lines)
    assert "and 91 more and no frames" in " ".join(lines)


def test_whatever_a_data_set_reads_is_shown_by_split(command: Command, tmp_path: Path) -> None:
    rows = ["id,labels,split"]
    for number, split in enumerate(("train", "train", "validation", "test", "test")):
        np.save(tmp_path / f"v{number}.npy", np.ones((2 + number, 4), np.float16))
        rows.append(f"v{number},{'a;b' if number else 'a'},{split}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    code, out, err = command("data", "inspect", tmp_path, "--data", "npy")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[1] == ["train", "2", "2/2.5/3", "1/1.50/2", "2"]
    assert lines[3] == ["test", "2", "5/5.5/6", "2/2.00/2", "2"]
    assert out.splitlines()[4] == "frames: features 4, float16; 2 classes with names"
    np.save(tmp_path / "[red]x.npy", np.ones((2, 5), np.float16))
    code, out, _ = command("data", "inspect", tmp_path, "--data", "npy")
    assert code == 1
    assert "left out: 1 x its type or width is not that of most arrays" in out
    code, out, _ = command("data", "inspect", "-", "--data", "digits", "--set", "data.train=30")
    assert (code, out.splitlines()[1].split()[:2]) == (0, ["train", "30"])
