"""Frames of video files are those that an independent decode of every frame finds."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from encoded import (
    ENCODINGS,
    FRAMES,
    SIDE,
    Encoding,
    decoded,
    encode,
    number_in,
    painted,
    shown_at,
    x264,
)

from distillbench.errors import DataError
from distillbench.video.pictures import Square
from distillbench.video.video_file import VideoFile

av = pytest.importorskip("av")
SQUARE = Square(SIDE)
MORE = {
    "HEVC with open GOP": Encoding(
        codec="libx265",
        options={"x265-params": "open-gop=1:bframes=4:keyint=24:min-keyint=24:log-level=none"},
    ),
    "VP8 with hidden frames": Encoding(
        ".webm",
        "libvpx",
        {"deadline": "realtime", "auto-alt-ref": "1", "lag-in-frames": "9"},
        gop=40,
    ),
    "AVI with B-frames": Encoding(".avi", "mpeg4", {"bf": "2"}, gop=30),
    "MPEG-2": Encoding(".mpg", "mpeg2video", {"bf": "2"}, gop=15),
    "upside down": x264("keyint=30", turned=180),
    "turned the other way": x264("keyint=30", turned=-90),
    "no timestamps": Encoding(".h264", options={"x264-params": "bframes=3"}),
}


def numbers(video: VideoFile, frames: list[int] | range) -> list[int]:
    return [number_in(picture) for picture in video.pictures(frames, SQUARE)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Encodes each file once."""
    folder, paths = tmp_path_factory.mktemp("encoded"), dict[str, Path]()

    def path_of(name: str) -> Path:
        if name not in paths:
            paths[name] = encode(folder / name.replace(" ", "-"), {**ENCODINGS, **MORE}[name])
        return paths[name]

    return path_of


@pytest.mark.parametrize("name", [*ENCODINGS, *list(MORE)[:-1]])
def test_frames_are_those_of_a_full_decode_and_those_that_were_painted(
    written: Callable[[str], Path], name: str
) -> None:
    rate, path = Fraction(3), written(name)
    truth = list(zip({**ENCODINGS, **MORE}[name].seconds(), range(FRAMES), strict=True))
    expected = shown_at(decoded(path), rate)
    video = VideoFile(path, rate)
    assert expected == shown_at(truth, rate)
    assert numbers(video, range(len(video))) == expected
    few = [len(video) // 2, 0, len(video) - 1, len(video) // 2]
    again = VideoFile(path, rate)
    assert numbers(again, few) == [expected[each] for each in few]
    assert again.decoded < FRAMES


def test_a_file_without_timestamps_is_decoded_through(written: Callable[[str], Path]) -> None:
    video = VideoFile(written("no timestamps"), Fraction(5))
    assert numbers(video, [0, 7, 23]) == [0, 35, 115]


def test_no_frame_is_decoded_to_find_out_how_many_there_are(
    written: Callable[[str], Path],
) -> None:
    video = VideoFile(written("constant rate"))
    assert (len(video), video.decoded) == (5, 0)
    video.pictures([2], SQUARE)
    assert video.decoded == 1, "frame 50 is a key frame"


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_no_picture(written: Callable[[str], Path], threads: int) -> None:
    found = VideoFile(written("B-frames"), Fraction(3), threads=threads)
    whole = VideoFile(written("B-frames"), Fraction(3))
    some = [1, 5, 11]
    assert np.array_equal(found.pictures(some, SQUARE), whole.pictures(range(15), SQUARE)[some])


def test_one_frame_is_a_video(tmp_path: Path) -> None:
    video = VideoFile(encode(tmp_path / "one", Encoding(), [painted(9)]))
    assert numbers(video, range(len(video))) == [9]


def test_the_middle_of_a_wide_picture_is_kept(tmp_path: Path) -> None:
    grey = np.full((SIDE, SIDE, 3), 128, np.uint8)
    wide = np.hstack([grey, painted(77), grey])
    tall = np.vstack([grey, painted(78), grey])
    for number, picture in ((77, wide), (78, tall)):
        video = VideoFile(encode(tmp_path / str(number), x264("qp=4"), [picture]))
        assert numbers(video, [0]) == [number]
    inner = VideoFile(tmp_path / "77.mp4").pictures([0], Square(32, 0.5))
    assert inner.shape == (1, 3, 32, 32)


def test_a_file_that_is_no_video_says_why(tmp_path: Path, written: Callable[[str], Path]) -> None:
    whole = written("constant rate").read_bytes()
    contents = {
        "empty.mp4": b"",
        "text.mp4": b"hello " * 100,
        "cut.mp4": whole[: len(whole) // 2],
        "list.mp4": b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/part.ts\n",
        "files.mp4": f"ffconcat version 1.0\nfile '{written('B-frames')}'\n".encode(),
        "pixels.mp4": painted(1).tobytes(),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}: it cannot be read"):
            VideoFile(tmp_path / name)
    for name in ("nowhere.mp4", "."):
        with pytest.raises(DataError, match="it cannot be read"):
            VideoFile(tmp_path / name)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(DataError, match="it has no video that can be decoded"):
        VideoFile(tmp_path / "sound.mp4")


@pytest.mark.parametrize("name", ["B-frames", "webm", "offset start", "AVI with B-frames"])
def test_a_damaged_file_is_read_or_refused(
    written: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    whole, chance = written(name).read_bytes(), random.Random(0)
    path = tmp_path / "damaged"
    for changed in (1, 1, 3, 3, 20, 20, 20, 20):
        content = bytearray(whole)
        for _ in range(changed):
            content[chance.randrange(len(content))] = chance.randrange(256)
        path.write_bytes(content)
        with suppress(DataError):
            video = VideoFile(path, Fraction(3))
            some = range(min(len(video), 99))
            assert video.pictures(some, SQUARE).shape == (len(some), 3, SIDE, SIDE)


def test_names_are_files_whatever_is_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("clip%03d", "http:clip", "-i", "ünïcode [x]"):
        path = encode(tmp_path / name, Encoding(), [painted(3)])
        assert numbers(VideoFile(path.name), [0]) == [3]


def test_what_is_missing_is_named_with_the_extra() -> None:
    code = (
        "import sys; sys.modules['av'] = None\n"
        "from distillbench.video.video_file import VideoFile\n"
        "VideoFile('clip.mp4')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (
        "ConfigError: reading video files needs PyAV: pip install 'distillbench[video]'"
        in done.stderr
    )
