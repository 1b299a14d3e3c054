"""Data sets written as shards: every number, label, name and split comes back."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from distillbench.data import ShardSource, StoredVideos, pack, packing, splits_of
from distillbench.errors import DataError
from distillbench.interfaces import NO_FRAME, Codec, LabelKind, Labels, Splits, Videos

NAMES = ("train", "validation", "test")
BYTES = Codec(scale=0.5, offset=-3.0, normalise="l2")


class Arrays(StoredVideos):
    """Videos that are arrays in memory, of one or two features."""

    def __init__(self, arrays: list[np.ndarray], features: dict[str, int], codec: Codec) -> None:
        self._arrays = arrays
        self.features, self.codec = features, codec
        self.ids = [f"v{number}, a" for number in range(len(arrays))]
        self.lengths = torch.tensor([len(each) for each in arrays])
        self.labels = Labels(torch.arange(len(arrays) + 1), torch.arange(len(arrays)) % 3, 4)
        self.class_names = ["a", 'b, "c"', "", "[red]d[/]"]
        self.dtype = torch.from_numpy(arrays[0]).dtype
        self.fingerprint = str(sum(float(each.astype(float).sum()) for each in arrays))
        self.skipped = {}

    def _fill(self, which: np.ndarray, times: np.ndarray, out: np.ndarray) -> None:
        out[:] = 0
        for row, video in enumerate(which):
            kept = times[row] >= 0
            out[row, kept] = self._arrays[video][times[row, kept]]


def splits(
    arrays: list[np.ndarray], features: dict[str, int] | None = None, codec: Codec = BYTES
) -> Splits:
    videos = Arrays(arrays, features or {"f": arrays[0].shape[1]}, codec)
    every = torch.arange(len(arrays))
    return splits_of(videos, every[:-2], every[-2:-1], every[-1:])


def made(count: int = 9, dtype: str = "float16", width: int = 5) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [(20 * random.random((1 + n % 4, width))).astype(dtype) for n in range(count)]


def opened(folder: Path, kind: LabelKind = "multi-label") -> Splits:
    return ShardSource(dir=str(folder), features="", normalise="as-packed").splits(kind)


def frames_of(videos: Videos) -> list[np.ndarray]:
    index = torch.arange(int(videos.lengths.max())).expand(len(videos), -1)
    index = index.masked_fill(index >= videos.lengths[:, None], NO_FRAME)
    read = videos.read(torch.arange(len(videos)), index)
    return [row[: int(n)].numpy() for row, n in zip(read, videos.lengths, strict=True)]


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
def test_what_is_packed_as_stored_comes_back_as_it_was(tmp_path: Path, dtype: str) -> None:
    before = splits(made(dtype=dtype), {"rgb": 3, "audio": 2})
    packed = pack(before, tmp_path / "new" / "folder")
    assert (packed.error.largest, packed.description.dtype) == (0.0, dtype)
    assert packed.videos == {"train": 7, "validation": 1, "test": 1}
    after = opened(tmp_path / "new" / "folder")
    for name in NAMES:
        old, new = getattr(before, name), getattr(after, name)
        assert list(new.ids) == list(old.ids)
        assert torch.equal(
            new.labels.dense(torch.arange(len(new))), old.labels.dense(torch.arange(len(old)))
        )
        assert new.features == {"rgb": 3, "audio": 2}
        assert new.class_names == ["a", 'b, "c"', "class 2", "[red]d[/]"]
        assert new.codec == (BYTES if dtype == "uint8" else Codec(1.0, 0.0, "l2"))
        for one, other in zip(frames_of(new), frames_of(old), strict=True):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)


@settings(deadline=None, max_examples=30)
@given(data=st.data(), dtype=st.sampled_from(["float16", "float32", "float64"]))
def test_an_error_that_is_told_is_the_largest_there_is(data: st.DataObject, dtype: str) -> None:
    width = data.draw(st.integers(1, 4))
    arrays = [
        data.draw(
            hnp.arrays(
                dtype, (data.draw(st.integers(1, 4)), width), elements=st.floats(-99, 99, width=16)
            )
        )
        for _ in range(3)
    ]
    before = splits(arrays, codec=Codec(1.0, 0.0, "none"))
    with tempfile.TemporaryDirectory() as folder:
        packed = pack(before, Path(folder, "p"), dtype="uint8")
        after = opened(Path(folder, "p"))
        assert {after.train.codec.scale} == {packed.description.scale}
        largest = 0.0
        for name in NAMES:
            codec = getattr(after, name).codec
            pairs = zip(
                frames_of(getattr(after, name)), frames_of(getattr(before, name)), strict=True
            )
            for one, other in pairs:
                off = np.abs(one * codec.scale + codec.offset - other.astype(np.float64))
                largest = max(largest, float(off.max()))
        assert packed.error.largest == pytest.approx(largest, abs=1e-9)
        assert packed.error.largest <= packed.description.scale / 2 * (1 + 1e-6)
        assert packed.error.rms <= packed.error.largest + 1e-12


def test_doubles_become_floats_of_4_bytes(tmp_path: Path) -> None:
    packed = pack(splits(made(dtype="float64")), tmp_path / "p")
    assert packed.description.dtype == "float32"
    assert 0 < packed.error.largest < 1e-5


@pytest.mark.parametrize(
    ("dtype", "asked", "why"),
    [
        ("uint8", "float16", "are stored as uint8, and are not more exact as float16"),
        ("float32", "float16", "is too large for float16"),
    ],
)
def test_types_that_cannot_hold_the_numbers_are_refused(
    tmp_path: Path, dtype: str, asked: packing.PackType, why: str
) -> None:
    arrays = made(dtype=dtype)
    arrays[3][0, 0] = 200 if dtype == "uint8" else 1e6
    with pytest.raises(DataError, match=why):
        pack(splits(arrays), tmp_path / "p", dtype=asked)


def test_packing_that_was_interrupted_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "_SHARD", 60)
    monkeypatch.setattr(packing, "_AT_ONCE", 200)
    before = splits(made(20))
    whole = pack(before, tmp_path / "whole", dtype="uint8")
    assert whole.shards > 5

    def stop(what: str, done: int, _total: int) -> None:
        if what == "writing" and done > 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(before, tmp_path / "p", dtype="uint8", progress=stop)
    kept = {each.name: each.stat().st_mtime_ns for each in (tmp_path / "p").glob("*.tfrecord")}
    assert len(kept) > 1
    with pytest.raises(DataError, match="not all written; pack them again to go on"):
        opened(tmp_path / "p")
    again = pack(before, tmp_path / "p", dtype="uint8")
    assert again == whole
    for name, time in kept.items():
        assert (tmp_path / "p" / name).stat().st_mtime_ns == time
    for path in (tmp_path / "whole").iterdir():
        if not path.name.startswith("."):
            assert (tmp_path / "p" / path.name).read_bytes() == path.read_bytes()
    assert not (tmp_path / "p" / "packing.json").exists()


def test_a_folder_that_holds_anything_else_is_refused(tmp_path: Path) -> None:
    pack(splits(made()), tmp_path / "p")
    pack(splits(made()), tmp_path / "p")  # the same again
    for other, dtype in ((made(10), "as-stored"), (made(), "uint8")):
        with pytest.raises(DataError, match="of the same packed otherwise"):
            pack(splits(other), tmp_path / "p", dtype=dtype)  # type: ignore[arg-type]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    (tmp_path / "file").touch()
    for name, why in (("mine", "other files are in this folder"), ("file", "cannot be written")):
        with pytest.raises(DataError, match=why):
            pack(splits(made()), tmp_path / name)


def test_videos_that_no_shard_holds_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = splits(made())
    data.test.ids = ["x" * 2000]
    with pytest.raises(DataError, match="is longer than 1024 bytes"):
        pack(data, tmp_path / "p")
    monkeypatch.setattr(packing, "_LARGEST_VIDEO", 70)
    with pytest.raises(DataError, match="has 4 frames of 5 numbers"):
        pack(splits(made()), tmp_path / "p")
    assert not (tmp_path / "p").exists()


DAMAGE = {
    "not JSON": "{",
    "no object": "[]",
    "deep": "[" * 100_000,
    "format": {"format": 2},
    "dtype": {"dtype": "int4"},
    "features": {"features": {}},
    "widths": {"features": {"f": -5}},
    "scale": {"scale": "1"},
    "no scale": {"scale": 0},
    "a scale that is none": {"scale": float("nan")},
    "an endless scale": {"scale": float("inf")},
    "a scale below 0": {"scale": -1.0},
    "a large scale": {"scale": 1e300},
    "an endless offset": {"offset": float("-inf")},
    "a huge whole offset": {"offset": 10**400},
    "classes": {"classes": 0},
    "no widths": {"features": "f"},
    "normalise": {"normalise": "l3"},
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_description_is_named(tmp_path: Path, name: str) -> None:
    pack(splits(made()), tmp_path)
    path = tmp_path / "packed.json"
    wrong = DAMAGE[name]
    path.write_text(
        wrong if isinstance(wrong, str) else json.dumps(json.loads(path.read_text()) | wrong)
    )
    with pytest.raises(DataError, match=r"packed\.json: this description of shards cannot be read"):
        opened(tmp_path)


def test_shards_that_are_read_otherwise_are_not_read_together(tmp_path: Path) -> None:
    pack(splits(made()), tmp_path / "a")
    pack(splits(made()), tmp_path / "b", dtype="uint8")
    patterns = {"train": "a/*.tfrecord", "test": "b/*.tfrecord"}
    with pytest.raises(DataError, match="are not to be read alike"):
        ShardSource(dir=str(tmp_path), features="f", **patterns).splits()


def test_shards_of_another_origin_have_no_normalising_of_their_own(tmp_path: Path) -> None:
    pack(splits(made(dtype="uint8")), tmp_path)
    (tmp_path / "packed.json").unlink()
    with pytest.raises(DataError, match="these shards were not packed"):
        ShardSource(dir=str(tmp_path), features="f", normalise="as-packed").splits()
    with pytest.raises(DataError, match="must name at least one list"):
        opened(tmp_path)


def test_bytes_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    pack(splits(made(dtype="uint8")), tmp_path)
    path = tmp_path / "packed.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"dtype": "float16"}))
    with pytest.raises(DataError, match="have 5 bytes, which are no numbers of 2 bytes each"):
        opened(tmp_path)


def test_single_label_data_has_one_label_a_video(tmp_path: Path) -> None:
    pack(splits(made()), tmp_path / "one")
    assert len(opened(tmp_path / "one", "single-label").train) == 7
    two = splits(made())
    two.train.labels = Labels(torch.arange(8) * 2, torch.arange(14) % 3, 4)
    pack(two, tmp_path / "two")
    with pytest.raises(DataError, match="7 videos have not exactly one label, 'v0, a' first"):
        opened(tmp_path / "two", "single-label")
