"""Tar files that WebDataset or tarfile wrote, and files that are none."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plugins.own_features import (
    Made,
    any_arrays,
    assert_read_or_refused,
    assert_same,
    change_bytes,
    labels_of,
    made,
    split_of,
)
from plugins.test_npy import run
from running import built, installed

from distillbench.errors import DataError
from distillbench.interfaces import Splits
from distillbench.testing.promises import Subject
from distillbench.testing.runner import verdicts
from distillbench_plugins.datasets.webdataset import WebDataset, WebDatasetSingleLabel

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path / "cache"))


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def write(path: Path, members: Mapping[str, bytes], mode: Any = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def members(videos: Sequence[Made]) -> dict[str, bytes]:
    found = {}
    for each in videos:
        about = {"labels": each.labels, "split": each.split, "caption": "more"}
        found[f"{each.id}.npy"] = npy(each.frames)
        found[f"{each.id}.json"] = json.dumps(about).encode()
    return found


def opened(path: Path, **knobs: Any) -> Splits:
    return built(WebDataset, dir=str(path), **knobs).splits()


@settings(deadline=None, max_examples=40)
@given(data=st.data(), arrays=any_arrays())
def test_any_frames_are_those_that_webdataset_wrote(
    data: st.DataObject, arrays: list[np.ndarray]
) -> None:
    library = pytest.importorskip("webdataset")
    with tempfile.TemporaryDirectory() as folder:
        for number, split in enumerate(("train", "validation", "test")):
            with library.TarWriter(str(Path(folder, f"{split}-0000.tar"))) as tar:
                for video in range(number, len(arrays), 3):
                    tar.write({"__key__": f"a/v{video}", "npy": arrays[video], "cls": video % 2})
        splits = opened(Path(folder))
        assert_same(splits, {f"a/v{n}": array for n, array in enumerate(arrays)}, data)
        assert labels_of(splits)["a/v1"] == {"1"}


def test_a_run_counts_the_bytes_of_the_chosen_frames(command: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "data" / "x.tar", members(made()))
    found = run(command, "webdataset", path.parent)
    assert found["data"]["classes"] == 3
    assert found["cost"]["bytes_read"] == 2 * 8 * 2


def test_arrays_may_have_another_ending(tmp_path: Path) -> None:
    found = {
        name.replace(".npy", ".clip.npy"): each for name, each in members(made(count=9)).items()
    }
    found["v0.npy"] = b"hello"
    path = write(tmp_path / "x.tar", found)
    assert len(opened(path, array=".clip.npy").train) == 6
    with pytest.raises(DataError, match=r"v0: it is no .npy file, or its header is damaged"):
        opened(path)


def test_a_table_beside_the_file_is_believed_rather_than_json(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tar", members(made(count=3)))
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        rows = [(f"v{n}", "owl", split_of(n)) for n in range(3)]
        csv.writer(file).writerows([("id", "labels", "split"), *rows])
    assert labels_of(opened(path)) == {f"v{n}": {"owl"} for n in range(3)}


FAULTS = {
    "none": "it has no frame",
    "objects": "it holds pickled objects, which are never unpickled",
    "cut": "it is not as long as its header says",
    "wide": "its type or width is not that of most arrays (float16 of 9, and most are float16 of 8)",
    "unlabelled": "it has an array and no labels",
    "odd": "the JSON beside its array cannot be used (has no list 'labels' of names or numbers)",
    "bytes": "the CLS beside its array cannot be used",
    "missing": "it has labels and no array",
    "empty": "it has no label",
    "v1": "its id occurs before",
}


def bad(folder: Path) -> Path:
    """Writes a folder with every fault: arrays, and files that are none."""
    good = members(made())
    said = b'{"labels": ["cat"], "split": "train"}'
    array = npy(np.ones((2, 8), np.float16))
    more = {
        "none.npy": npy(np.ones((0, 8), np.float16)),
        "objects.npy": npy(np.array([[{}]], object)),
        "cut.npy": array[:-1],
        "wide.npy": npy(np.ones((2, 9), np.float16)),
        "nan.npy": npy(np.full((2, 8), np.nan, np.float16)),
        "v1.npy": array,
    }
    more |= {name.replace("npy", "json"): said for name in more}
    more |= {
        "unlabelled.npy": array,
        "odd.npy": array,
        "odd.json": b'{"caption": 1}',
        "bytes.npy": array,
        "bytes.cls": b"\xff",
        "missing.json": said,
        "nothing.json": b"{}",
        "empty.npy": array,
        "empty.json": b'{"labels": [], "split": "train"}',
        ".hidden.npy": b"hello",
    }
    write(folder / "a.tar", good)
    write(folder / "b.tar", more)
    whole = (folder / "a.tar").read_bytes()
    (folder / "text.tar").write_text("hello")
    (folder / "empty.tar").touch()
    (folder / "shortened.tar").write_bytes(whole[:5000])
    (folder / "unended.tar").write_bytes(whole[: 2 * 512 + 512])
    (folder / "damaged.tar").write_bytes(whole[:2048] + b"x" * 512 + whole[2560:])
    write(folder / "zipped.tar", {"z.npy": array}, "w:gz")
    twice = folder / "twice.tar"
    write(twice, {"t.npy": array})
    write(twice, {"t.npy": array}, "a")
    return folder


def test_everything_that_is_wrong_is_told_at_once(command: Command, tmp_path: Path) -> None:
    folder = bad(tmp_path / "data")
    code, out, err = command("run", "--data", "webdataset", "--data-dir", folder, "--k", "2")
    assert (code, out) == (2, "")
    for name, why in FAULTS.items():
        assert f"  - {name}: {why}" in err
    for name in ("text", "empty", "shortened", "unended", "damaged", "twice"):
        assert f"  - {name}.tar: it is no tar, or it is damaged" in err
    assert "  - zipped.tar: it is no tar, or it is damaged (it is compressed" in err
    assert f"{len(FAULTS) + 7} of its videos cannot be used" in err


def test_what_is_wrong_is_left_out_and_counted(command: Command, tmp_path: Path) -> None:
    folder = bad(tmp_path / "data")
    found = run(command, "webdataset", folder, "--set", "data.skip_bad_records=true")
    assert sum(found["data"]["videos"].values()) == 60
    warnings = " ".join(found["warnings"])
    assert "7 records left out: it is no tar, or it is damaged" in warnings
    assert "1 records left out: it has a number that is not finite" in warnings


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_whatever_bytes_are_changed_a_file_is_read_or_refused(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder, "x.tar"), members(made(count=6)))
        change_bytes(path, data, last=12_000)
        assert_read_or_refused(lambda: opened(path))


def test_a_tar_without_an_array_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tar", {"a.txt": b"hello"})
    with pytest.raises(DataError, match=r"no array in a \*.tar"):
        opened(path)


def test_several_labels_a_video_are_refused_where_there_is_to_be_one(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tar", members(made()))
    with pytest.raises(DataError, match="it has more than one label"):
        built(WebDatasetSingleLabel, dir=str(path)).splits()


@pytest.mark.parametrize(("name", "most"), [("webdataset", 2), ("webdataset-single-label", 1)])
def test_it_keeps_the_contract(tmp_path: Path, name: str, most: int) -> None:
    path = write(tmp_path / "x.tar", members(made(most)))
    component = next(each for each in installed() if each.name == name)
    found = verdicts(Subject(component, data_dir=str(path)))
    assert {verdict.status for verdict in found} == {"kept"}, found
