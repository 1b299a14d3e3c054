"""Arrays in .npy files against numpy, whatever is in the files."""

from __future__ import annotations

import os
import pickle
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from distillbench.data import NpyVideos, npy_array, npy_videos
from distillbench.data.normalising import normalising
from distillbench.errors import DataError
from distillbench.interfaces import NO_FRAME, Clips, Labels

DTYPES = ("uint8", "float16", "float32", "float64")


def saved(folder: Path, arrays: list[np.ndarray]) -> NpyVideos:
    paths = [folder / f"v{number}.npy" for number in range(len(arrays))]
    for path, array in zip(paths, arrays, strict=True):
        np.save(path, array)
    ends = torch.arange(len(arrays) + 1)
    labels = Labels(ends, torch.zeros(len(arrays), dtype=torch.int64), 1)
    return NpyVideos([npy_array(path) for path in paths], [path.stem for path in paths], labels)


def made(lengths: list[int], width: int = 3, dtype: str = "float32") -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [(100 * random.random((length, width))).astype(dtype) for length in lengths]


@settings(deadline=None, max_examples=80)
@given(data=st.data(), dtype=st.sampled_from(DTYPES))
def test_any_frames_of_any_arrays_are_read_as_numpy_reads_them(
    data: st.DataObject, dtype: str
) -> None:
    width = data.draw(st.integers(1, 5))
    finite = None if dtype == "uint8" else st.floats(-9, 9, width=16)
    arrays = [
        data.draw(hnp.arrays(dtype, (data.draw(st.integers(1, 6)), width), elements=finite))
        for _ in range(data.draw(st.integers(1, 4)))
    ]
    which = data.draw(st.lists(st.integers(0, len(arrays) - 1), max_size=5))
    slots = data.draw(st.integers(0, 8))
    chosen = [
        [data.draw(st.integers(NO_FRAME, len(arrays[video]) - 1)) for _ in range(slots)]
        for video in which
    ]
    expected = np.zeros((len(which), slots, width), dtype)
    for row, video in enumerate(which):
        for slot, frame in enumerate(chosen[row]):
            if frame >= 0:
                expected[row, slot] = arrays[video][frame]
    with tempfile.TemporaryDirectory() as folder:
        videos = saved(Path(folder), arrays)
        index = torch.tensor(chosen, dtype=torch.int64).view(len(which), slots)
        read = videos.read(torch.tensor(which, dtype=torch.int64), index)
        assert read.numpy().dtype == dtype
        assert np.array_equal(read.numpy(), expected)
        out = torch.full_like(read, 7)
        assert videos.read(torch.tensor(which, dtype=torch.int64), index, out) is out
        assert torch.equal(out, read)


def test_a_large_batch_is_read_in_threads_as_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = made([30] * 40)
    videos = saved(tmp_path, arrays)
    monkeypatch.setattr(npy_videos, "_OPENING", 1 << 22)
    which = torch.arange(40).flip(0)
    read = videos.read(which, torch.tensor([2, 3, 4, 29]).expand(40, -1))
    assert np.array_equal(read.numpy(), np.stack(arrays)[::-1][:, [2, 3, 4, 29]])


def test_where_the_system_has_no_pread_it_seeks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = made([9, 5])
    monkeypatch.setattr(npy_videos, "_pread", npy_videos._seek_and_read)
    read = saved(tmp_path, arrays).read(torch.tensor([1, 0]), torch.tensor([[4, 1], [0, 8]]))
    assert np.array_equal(read.numpy(), [arrays[1][[4, 1]], arrays[0][[0, 8]]])


def test_a_system_that_reads_little_at_once_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = made([9])
    videos = saved(tmp_path, arrays)
    monkeypatch.setattr(npy_videos, "_AT_ONCE", 5)
    read = videos.read(torch.tensor([0]), torch.arange(9)[None])
    assert np.array_equal(read.numpy()[0], arrays[0])


def test_only_the_chosen_frames_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = saved(tmp_path, made([300], 128, "float16"))
    asked: list[int] = []
    pread = os.pread

    def counting(file: int, size: int, offset: int) -> bytes:
        asked.append(size)
        return pread(file, size, offset)

    monkeypatch.setattr(npy_videos, "_pread", counting)
    videos.read(torch.tensor([0]), torch.tensor([[0, 60, 61, 299, NO_FRAME]]))
    assert asked == [256, 512, 256]


def test_a_frame_that_is_not_there_and_a_buffer_that_does_not_fit_are_refused(
    tmp_path: Path,
) -> None:
    videos = saved(tmp_path, made([2]))
    with pytest.raises(IndexError, match="its video does not have"):
        videos.read(torch.tensor([0]), torch.tensor([[2]]))
    for out in (torch.zeros(1, 1, 3).half(), torch.zeros(1, 2, 3), torch.zeros(1, 1, 6)[:, :, ::2]):
        with pytest.raises(ValueError, match="out must be a contiguous"):
            videos.read(torch.tensor([0]), torch.tensor([[1]]), out)


class Creating:
    """Would create a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def header(text: str, body: bytes = b"") -> bytes:
    """Returns a .npy file of version 1 with this header."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + body


def about(descr: str = "'<f4'", order: str = "False", shape: str = "(2, 3)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


GOOD = bytes(24)
HOSTILE = {
    "empty": (b"", "it is no .npy file"),
    "text": (b"id,labels\n", "it is no .npy file"),
    "zip": (b"PK\x03\x04" + bytes(60), "it is no .npy file"),
    "another version": (b"\x93NUMPY\x09\x00" + bytes(60), "it is no .npy file"),
    "header cut": (header(about(), GOOD)[:30], "its header is damaged"),
    "header too long": (b"\x93NUMPY\x02\x00" + b"\xff" * 90, "its header is damaged"),
    "no header": (header("1 + "), "its header is damaged"),
    "deep header": (header("(" * 3000), "its header is damaged"),
    "no text": (b"\x93NUMPY\x01\x00\x02\x00\xff\xfe", "its header is damaged"),
    "header of code": (header("__import__('os').abort()"), "its header is damaged"),
    "no shape": (header("{'descr': '<f4'}"), "its header is damaged"),
    "shape of text": (header(about(shape="('2', 3)")), "its header is damaged"),
    "shape of truth": (header(about(shape="(True, 3)")), "its header is damaged"),
    "half a type": (header(about("('<f4',)")), "its header is damaged"),
    "unknown type": (header(about("'nonsense'")), "its header is damaged"),
    "frames cut": (header(about(), GOOD[:-1]), "not as long as its header says"),
    "frames too long": (header(about(), GOOD + b"1"), "not as long as its header says"),
    "gigantic": (header(about(shape="(10**9, 3)".replace("10**9", "9" * 30)), GOOD), "not as long"),
    "negative": (header(about(shape="(-2, -3)"), GOOD), "its shape is not"),
    "no frame": (header(about(shape="(0, 3)")), "it has no frame"),
    "no width": (header(about(shape="(2, 0)")), "its shape is not"),
    "flat": (header(about(shape="(6,)"), GOOD), "its shape is not"),
    "cube": (header(about(shape="(2, 3, 1)"), GOOD), "its shape is not"),
    "columns first": (header(about(order="True"), GOOD), "np.ascontiguousarray"),
    "big-endian": (header(about("'>f4'"), GOOD), "little-endian"),
    "integers": (header(about("'<i4'"), GOOD), "not uint8, float16"),
    "complex": (header(about("'<c8'"), bytes(48)), "not uint8, float16"),
    "records": (header(about("[('a', '<f4')]"), GOOD), "not uint8, float16"),
    "objects in records": (header(about("[('a', '|O')]")), "pickled objects"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_no_array_of_frames_is_refused_with_the_reason(
    tmp_path: Path, name: str
) -> None:
    content, why = HOSTILE[name]
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.npy: ") as caught:
        npy_array(path)
    assert why in str(caught.value)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_whatever_bytes_are_changed_a_file_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(header(about(), GOOD))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of python, about what the text of a header says
        path = Path(folder, "x.npy")
        path.write_bytes(content)
        try:
            found = npy_array(path)
        except DataError:
            return
        assert found.offset + found.frames * found.width * np.dtype(found.dtype).itemsize == len(
            content
        )


def test_a_good_header_of_every_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    for version in ((1, 0), (2, 0), (3, 0)):
        with path.open("wb") as file:
            np.lib.format.write_array(file, np.ones((2, 3), np.float16), version)
        found = npy_array(path)
        assert (found.frames, found.width, found.dtype) == (2, 3, "<f2")


def test_pickled_objects_are_never_unpickled(tmp_path: Path) -> None:
    created = tmp_path / "created"
    objects = np.empty((1, 1), object)
    objects[0, 0] = Creating(created)
    np.save(tmp_path / "x.npy", objects, allow_pickle=True)
    (tmp_path / "y.npy").write_bytes(pickle.dumps(Creating(created)))
    with pytest.raises(DataError, match="pickled objects, which are never unpickled"):
        npy_array(tmp_path / "x.npy")
    with pytest.raises(DataError, match=r"it is no \.npy file"):
        npy_array(tmp_path / "y.npy")
    assert not created.exists()


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "loop.npy").symlink_to(tmp_path / "loop.npy")
    os.mkfifo(tmp_path / "pipe.npy")
    for name, why in (
        ("folder.npy", "it is no file"),
        ("pipe.npy", "it is no file"),
        ("loop.npy", "it cannot be read"),
        ("none.npy", "it cannot be read"),
    ):
        with pytest.raises(DataError, match=why):
            npy_array(tmp_path / name)


def test_arrays_that_differ_are_no_videos(tmp_path: Path) -> None:
    for other in (made([2], 4), made([2], 3, "float16")):
        with pytest.raises(DataError, match="all must be alike"):
            saved(tmp_path, [*made([2]), *other])
    with pytest.raises(DataError, match="there is no array"):
        saved(tmp_path, [])


def test_a_file_that_goes_or_shrinks_while_it_is_open_is_named(tmp_path: Path) -> None:
    videos = saved(tmp_path, made([4, 4]))
    os.truncate(tmp_path / "v0.npy", 140)
    (tmp_path / "v1.npy").unlink()
    for video, why in ((0, "v0.npy: is shorter"), (1, "v1.npy: cannot be read: No such file")):
        with pytest.raises(DataError, match=why):
            videos.read(torch.tensor([video]), torch.tensor([[3]]))


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_a_number_that_is_not_finite_is_named_when_it_is_read(
    tmp_path: Path, dtype: str, value: float
) -> None:
    arrays = made([4, 4], dtype=dtype)
    with np.errstate(over="ignore"):
        arrays[1][2, 1] = value
    videos = saved(tmp_path, arrays)
    which = torch.tensor([0, 1])
    assert videos.read(which, torch.tensor([[0, 1], [0, 3]])).isfinite().all()
    with pytest.raises(DataError, match=r"v1.npy: frame 2 has a number that is not finite"):
        videos.read(which, torch.tensor([[0, 1], [3, 2]]))
    npy_array(tmp_path / "v0.npy").require_numbers()
    with pytest.raises(DataError, match=r"v1.npy: it has a number that is not finite \(frame 2\)"):
        npy_array(tmp_path / "v1.npy").require_numbers()


def test_the_largest_numbers_are_finite(tmp_path: Path) -> None:
    for dtype in (np.float16, np.float32):
        largest = np.array([[np.finfo(dtype).max, np.finfo(dtype).min]], dtype)
        assert saved(tmp_path, [largest]).read(torch.tensor([0]), torch.tensor([[0]])).any()


def test_other_data_has_another_fingerprint(tmp_path: Path) -> None:
    arrays = made([4, 5])
    first = saved(tmp_path, arrays).fingerprint
    assert saved(tmp_path, arrays).fingerprint == first
    changed = [arrays[0] + 1, arrays[1]]
    assert saved(tmp_path, changed).fingerprint != first
    assert saved(tmp_path, [arrays[0][:3], arrays[1]]).fingerprint != first
    videos = saved(tmp_path, arrays)
    videos.decode_with(normalising("l2", videos, torch.arange(2)))
    assert videos.fingerprint != first


@pytest.mark.parametrize("dtype", DTYPES)
def test_standardised_frames_have_mean_0_and_deviation_1(tmp_path: Path, dtype: str) -> None:
    random = np.random.default_rng(0)
    spread, level = np.array([1.0, 20.0, 3.0, 0.0]), np.array([50.0, 120.0, 9.0, 60.0])
    arrays = [(random.standard_normal((9, 4)) * spread + level).astype(dtype) for _ in range(50)]
    videos = saved(tmp_path, arrays)
    codec = normalising("standardise", videos, torch.arange(50))
    read = videos.read(torch.arange(50), torch.arange(9).expand(50, -1))
    clips = Clips(read, torch.full((50,), 9), torch.arange(9).expand(50, -1), 9)
    frames = codec.decode(clips, torch.float64).frames.flatten(0, 1)
    assert frames.mean(0).abs().max() < 1e-9
    assert frames.std(0, correction=0)[:3].numpy() == pytest.approx(1.0, abs=1e-9)
    assert not frames[:, 3].any()


def test_small_deviations_of_floats_count(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = [random.standard_normal((9, 2)) * [1e-5, 1e-5] + [0.0, 0.1] for _ in range(20)]
    videos = saved(tmp_path, arrays)
    deviations = normalising("standardise", videos, torch.arange(20)).deviation
    assert deviations == pytest.approx(np.concatenate(arrays).std(0).tolist(), rel=1e-6)
