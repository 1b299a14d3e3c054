"""HDF5 files that h5py writes, in one piece or in chunks, and files that are none."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plugins.own_features import Made, any_arrays, assert_same, labels_of, made, split_of
from plugins.test_npy import run
from running import built, installed

from distillbench.data import MappedVideos
from distillbench.errors import DataError
from distillbench.interfaces import Splits
from distillbench.testing.promises import Subject
from distillbench.testing.runner import verdicts
from distillbench_plugins.datasets import hdf5
from distillbench_plugins.datasets.hdf5 import Hdf5, Hdf5SingleLabel

h5py = pytest.importorskip("h5py")

Command = Callable[..., tuple[int, str, str]]

WAYS: dict[str, dict[str, Any]] = {
    "in one piece": {},
    "in chunks": {"chunks": (2, 1), "maxshape": (None, None)},
    "compressed": {"chunks": True, "compression": "gzip", "shuffle": True},
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path / "cache"))


def write(path: Path, videos: Iterable[Made], way: str = "in one piece") -> Path:
    """Writes an array a video, with its labels and its split as attributes."""
    with h5py.File(path, "w") as file:
        for video in videos:
            file.create_dataset(video.id, data=video.frames, **WAYS[way])
            file[video.id].attrs.update({"labels": video.labels, "split": video.split})
    return path


def opened(path: Path, **knobs: Any) -> Splits:
    return built(Hdf5, dir=str(path), **knobs).splits()


@settings(deadline=None, max_examples=40)
@given(
    data=st.data(), arrays=any_arrays(), way=st.sampled_from(list(WAYS)), userblock=st.booleans()
)
def test_any_frames_are_those_that_h5py_wrote(
    data: st.DataObject, arrays: list[np.ndarray], way: str, userblock: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.h5")
        with h5py.File(path, "w", userblock_size=512 if userblock else 0) as file:
            for number, array in enumerate(arrays):
                group = file.create_group(f"deep/v{number}")
                group.create_dataset("f", data=array, **WAYS[way])
                group.attrs.update({"labels": "a;b", "split": split_of(number)})
        splits = opened(path, array="f")
        named = {f"deep/v{number}": array for number, array in enumerate(arrays)}
        assert_same(splits, named, data)
        assert splits.train.sparse == (way == "in one piece")
        assert labels_of(splits)["deep/v0"] == {"a", "b"}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_counts_what_it_had_to_read(command: Command, tmp_path: Path, way: str) -> None:
    videos = made()
    found = run(command, "hdf5", write(tmp_path / "x.h5", videos, way))
    assert found["data"]["classes"] == 3
    assert found["cost"]["frames_read"] == 2
    frames = np.mean([len(each.frames) for each in videos if each.split == "test"])
    expected = 2 if way == "in one piece" else frames
    assert found["cost"]["bytes_read"] == pytest.approx(expected * 8 * 2)


def test_files_of_a_folder_are_its_splits(tmp_path: Path) -> None:
    videos = made(count=9)
    for number, name in enumerate(("train", "validation", "test")):
        write(tmp_path / f"{name}.h5", videos[number::3])
    splits = opened(tmp_path)
    assert list(splits.test.ids) == sorted(each.id for each in videos[2::3])
    assert labels_of(splits) == {each.id: set(each.labels) for each in videos}


def test_a_file_a_video_is_called_by_its_name(tmp_path: Path) -> None:
    for video in made(count=6):
        with h5py.File(write(tmp_path / f"{video.id}.h5", []), "a") as file:
            file["f"] = video.frames
            file["f"].attrs.update({"labels": video.labels, "split": video.split})
            file["more"] = np.zeros(3)
    splits = opened(tmp_path, array="f")
    assert list(splits.train.ids) == ["v0", "v1", "v2", "v5"]


def test_a_table_beside_the_file_is_believed_rather_than_attributes(tmp_path: Path) -> None:
    path = write(tmp_path / "x.h5", made(count=3))
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        rows = [(f"v{n}", "owl", split_of(n)) for n in range(3)]
        csv.writer(file).writerows([("id", "labels", "split"), *rows])
    assert labels_of(opened(path)) == {f"v{n}": {"owl"} for n in range(3)}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [("a;b", {"a", "b"}), (np.bytes_(b"b"), {"b"}), (1, {"b"}), ([0, 1], {"a", "b"})],
)
def test_names_of_classes_are_the_files_own(
    tmp_path: Path, labels: Any, expected: set[str]
) -> None:
    path = write(tmp_path / "x.h5", made(count=3))
    with h5py.File(path, "a") as file:
        file.attrs["classes"] = ["a", "b", "c"]
        for name in ("v0", "v1", "v2"):
            file[name].attrs["labels"] = labels
            file[name].attrs["split"] = split_of(int(name[1]))
    splits = opened(path)
    assert splits.train.class_names == ["a", "b", "c"]
    assert set(map(frozenset, labels_of(splits).values())) == {frozenset(expected)}


def test_arrays_in_one_piece_are_mapped(tmp_path: Path) -> None:
    splits = opened(write(tmp_path / "x.h5", made()))
    assert isinstance(splits.train._videos, MappedVideos)  # type: ignore[attr-defined]


FAULTS = {
    "nothing": "it has no frame",
    "none": "it has no frame",
    "flat": "its shape is not (frames, numbers of a frame) ((6,))",
    "text": "it holds pickled objects, which are never unpickled",
    "integers": "its numbers are not uint8, float16, float32 or float64 in little-endian order (<i4)",
    "wide": "its type or width is not that of most arrays (float16 of 9, and most are float16 of 8)",
    "unlabelled": "it has an array and no labels",
    "odd": "its attributes cannot be used (they are no names or numbers)",
    "empty": "it has no label",
}


def bad(folder: Path) -> Path:
    """Writes a folder with every fault: arrays, and files that are none."""
    folder.mkdir()
    videos = made()
    with h5py.File(write(folder / "good.h5", videos), "a") as file:
        file["nothing"] = h5py.Empty("f2")
        file["none"] = np.zeros((0, 8), "f2")
        file["flat"] = np.zeros(6, "f2")
        file.create_dataset("text", shape=(2, 8), dtype=h5py.string_dtype())
        file["integers"] = np.zeros((2, 8), "i4")
        file["wide"] = np.zeros((2, 9), "f2")
        file["unlabelled"] = np.zeros((2, 8), "f2")
        file["odd"] = np.zeros((2, 8), "f2")
        file["odd"].attrs["labels"] = np.array([1.5])
        file["empty"] = np.zeros((2, 8), "f2")
        file["empty"].attrs["labels"] = " ; "
        file["nan"] = np.full((2, 8), np.nan, "f2")
        for name in ("nothing", "none", "flat", "text", "integers", "wide", "nan"):
            file[name].attrs["labels"] = "bird"
        for name in set(file) - {each.id for each in videos}:
            file[name].attrs["split"] = "train"
        file["to itself"] = h5py.SoftLink("/")
        file["to nowhere"] = h5py.SoftLink("/nowhere")
        file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/")
    (folder / "text.h5").write_text("hello")
    (folder / "cut.h5").write_bytes((folder / "good.h5").read_bytes()[:3000])
    return folder


def test_everything_that_is_wrong_is_told_at_once(command: Command, tmp_path: Path) -> None:
    folder = bad(tmp_path / "data")
    code, out, err = command("run", "--data", "hdf5", "--data-dir", folder, "--k", "2")
    assert (code, out) == (2, "")
    for name, why in FAULTS.items():
        assert f"  - {name}: {why}\n" in err
    assert "  - text.h5: it is no HDF5 file, or it is damaged (file signature not found)" in err
    assert "  - cut.h5: it is no HDF5 file, or it is damaged (truncated file" in err
    assert f"{len(FAULTS) + 2} of its videos cannot be used" in err


def test_what_is_wrong_is_left_out_and_counted(command: Command, tmp_path: Path) -> None:
    folder = bad(tmp_path / "data")
    found = run(command, "hdf5", folder, "--set", "data.skip_bad_records=true")
    assert sum(found["data"]["videos"].values()) == 60
    warnings = " ".join(found["warnings"])
    assert "2 records left out: it is no HDF5 file, or it is damaged" in warnings
    assert "1 records left out: it has a number that is not finite" in warnings


def test_a_number_that_is_not_finite_is_named_when_it_is_read(tmp_path: Path) -> None:
    for way in WAYS:
        videos = made(count=9)
        videos[0].frames[2, 1] = np.inf
        splits = opened(write(tmp_path / f"{way}x.h5", videos, way))
        where = torch.tensor([list(splits.train.ids).index("v0")])
        with pytest.raises(DataError, match=r"x.h5.*: frame 2 has a number that is not finite"):
            splits.train.read(where, torch.tensor([[0, 2]]))


def test_a_file_that_shrinks_while_it_is_open_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.h5", made(), "compressed")
    splits = opened(path)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(DataError, match=r"x.h5: v\d+: cannot be read"):
        splits.train.read(torch.tensor([0]), torch.tensor([[0]]))
    path = write(tmp_path / "y.h5", made())
    splits = opened(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match="shorter than when it was opened"):
        splits.train.read(torch.tensor([0]), torch.tensor([[0]]))


def test_many_files_are_not_all_kept_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "_OPEN_FILES", 2)
    for video in made(count=6):
        write(tmp_path / f"{video.id}.h5", [video], "in chunks")
    splits = opened(tmp_path, split_by="column")
    for videos in (splits.train, splits.validation, splits.test):
        for _ in range(2):
            assert videos.read(torch.arange(len(videos)), torch.zeros(len(videos), 1).long()).any()


def test_files_without_an_array_say_so(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w"):
        pass
    for place in (tmp_path, tmp_path / "x.h5"):
        with pytest.raises(DataError, match=r"no array in a \*.h5"):
            opened(place)
    with pytest.raises(DataError, match="no array in"):
        opened(write(tmp_path / "x.h5", made(count=3)), array="nonsense")


def test_without_the_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(DataError, match=r"pip install 'distillbench\[hdf5\]'"):
        opened(tmp_path)


def test_several_labels_a_video_are_refused_where_there_is_to_be_one(tmp_path: Path) -> None:
    path = write(tmp_path / "x.h5", made())
    with pytest.raises(DataError, match="it has more than one label"):
        built(Hdf5SingleLabel, dir=str(path)).splits()


@pytest.mark.parametrize(("name", "most"), [("hdf5", 2), ("hdf5-single-label", 1)])
def test_it_keeps_the_contract(tmp_path: Path, name: str, most: int) -> None:
    path = write(tmp_path / "x.h5", made(most), "compressed")
    component = next(each for each in installed() if each.name == name)
    found = verdicts(Subject(component, data_dir=str(path)))
    assert {verdict.status for verdict in found} == {"kept"}, found
