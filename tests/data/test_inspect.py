from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data.wire import frame, listed, record

from distillbench.data import Video, inspect, write_shard
from distillbench.data.tfrecord.framing import write_record
from distillbench.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    frames = [np.ones((number, 4), np.uint8) for number in (2, 3, 7)]
    videos = [Video(f"v{number}", [0, number], {"rgb": each}) for number, each in enumerate(frames)]
    (tmp_path / "deep").mkdir()
    write_shard(tmp_path / "deep" / "good.tfrecord", videos)
    data = (tmp_path / "deep" / "good.tfrecord").read_bytes()
    (tmp_path / "torn.tfrecord").write_bytes(data[:-3])
    (tmp_path / "wrong.tfrecord").write_text("a table, by mistake")
    (tmp_path / "empty.tfrecord").touch()
    (tmp_path / "classes.csv").write_text("index,name\n0,a\n")
    return tmp_path


def test_a_folder_is_told_file_by_file_and_in_all(folder: Path) -> None:
    found = inspect(folder)
    kinds = {report.path.name: report.kind for report in found.files}
    assert kinds == {
        "good.tfrecord": "frame-level",
        "torn.tfrecord": "frame-level",
        "wrong.tfrecord": "not a TFRecord",
        "empty.tfrecord": "unreadable",
        "classes.csv": "not a shard",
    }
    assert found.total.videos == 5
    assert found.total.kind == "frame-level"
    assert found.total.classes == 3
    assert sum(found.total.bad.values()) == 3


def test_one_shard_is_told_in_full(folder: Path) -> None:
    (report,) = inspect(folder / "deep" / "good.tfrecord").files
    assert report.frames is not None
    assert report.labels is not None
    assert (report.frames.least, report.frames.median, report.frames.mean, report.frames.most) == (
        2,
        3,
        4,
        7,
    )
    assert (report.labels.least, report.labels.mean, report.labels.most) == (
        1,
        pytest.approx(5 / 3),
        2,
    )
    assert report.features == {"rgb": (4,)}
    assert (report.unlabelled, report.bad) == (0, {})
    assert report.bytes == (folder / "deep" / "good.tfrecord").stat().st_size


def test_a_file_asked_for_by_name_is_looked_into_whatever_it_is_called(folder: Path) -> None:
    (report,) = inspect(folder / "classes.csv").files
    assert report.kind == "not a TFRecord"


def test_nothing_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the folder holds no file"):
        inspect(tmp_path)
    with pytest.raises(DataError, match="gone: no such file or folder"):
        inspect(tmp_path / "gone")
    with pytest.raises(DataError, match="aaa: cannot be looked into: File name too long"):
        inspect(tmp_path / ("a" * 300))


def test_every_real_file_is_told(real_data: Path) -> None:
    found = {str(report.path.relative_to(real_data)): report for report in inspect(real_data).files}
    level = found["yt8m/video_level_2018.tfrecord"]
    assert level.kind == "video-level"
    assert list(level.bad.values()) == [313]
    one = found["yt8m/one_2018_video.tfrecord"]
    assert (one.videos, one.features) == (1, {"audio": (128,), "rgb": (1024,)})
    assert found["audioset/classes.csv"].kind == "not a shard"
    clips = [report for name, report in found.items() if "bal_train" in name]
    assert sum(report.videos for report in clips) == 22160
    assert {report.kind for report in clips} == {"frame-level"}


def broken(number: int) -> bytes:
    """A record that is refused with a reason of its own: its length says more than there is."""
    return bytes([10, 50 + number]) + bytes(number % 7)


def test_reasons_that_differ_in_numbers_alone_are_one(tmp_path: Path) -> None:
    with (tmp_path / "a.tfrecord").open("wb") as file:
        for number in range(70):
            write_record(file, broken(number))
        write_record(file, b"\x0a\x85")
    (report,) = inspect(tmp_path / "a.tfrecord").files
    assert report.kind == "unusable"
    assert report.bad == {
        "a field of … bytes does not fit the … bytes that are left for it": 70,
        "a number is cut off": 1,
    }


def test_a_number_that_is_the_same_everywhere_stays(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with (tmp_path / f"{name}.tfrecord").open("wb") as file:
            for number in (0, 7, 14):
                write_record(file, broken(number))
    found = inspect(tmp_path)
    assert [report.bad for report in found.files] == [
        {"a field of … bytes does not fit the 0 bytes that are left for it": 3}
    ] * 2
    assert found.total.bad == {
        "a field of … bytes does not fit the 0 bytes that are left for it": 6
    }


@pytest.mark.parametrize(
    ("names", "bad"),
    [
        (["rgb", "rgb", "rgc"], {"it has no list 'rgc'": 2, "it has no list 'rgb'": 1}),
        (list("abcde"), {"it has not every list that others have (a, b, c, d, e)": 5}),
    ],
)
def test_lists_that_only_some_videos_have_are_told_in_few_words(
    tmp_path: Path, names: list[str], bad: dict[str, int]
) -> None:
    frames = np.ones((1, 4), np.uint8)
    write_shard(
        tmp_path / "a.tfrecord",
        [Video(f"v{place}", [0], {name: frames}) for place, name in enumerate(names)],
    )
    assert inspect(tmp_path / "a.tfrecord").total.bad == bad


def test_a_video_none_of_whose_lists_can_be_read_has_no_frames(tmp_path: Path) -> None:
    uneven = b"".join(frame(value) for value in (b"abc", b"ab"))
    with (tmp_path / "a.tfrecord").open("wb") as file:
        write_record(file, record(lists=listed(b"rgb", uneven)))
    (report,) = inspect(tmp_path / "a.tfrecord").files
    assert report.frames is not None
    assert (report.frames.least, report.frames.most) == (0, 0)
