"""Rows of Arrow files that `datasets` or pyarrow wrote, and files that are none."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
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
from distillbench_plugins.datasets.huggingface import HuggingFace, HuggingFaceSingleLabel

Command = Callable[..., tuple[int, str, str]]

LISTS: dict[str, Callable[[pa.DataType, int], pa.DataType]] = {
    "lists": lambda kind, _: pa.list_(pa.list_(kind)),
    "large lists": lambda kind, _: pa.large_list(pa.large_list(kind)),
    "lists of one width": lambda kind, width: pa.list_(pa.list_(kind, width)),
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path / "cache"))


def frames_column(arrays: Sequence[np.ndarray | None], kind: str = "lists") -> pa.Array:
    numbers = pa.from_numpy_dtype(next(each.dtype for each in arrays if each is not None))
    width = next(each.shape[1] for each in arrays if each is not None)
    lists = [None if each is None else list(each) for each in arrays]
    if numbers == pa.float16():  # which pyarrow makes of numpy's numbers alone
        flat = [row for each in arrays if each is not None for row in each]
        inner = pa.ListArray.from_arrays(
            np.arange(len(flat) + 1, dtype=np.int32) * width, pa.array(np.concatenate(flat))
        )
        counts = np.array([0, *(len(each) for each in arrays if each is not None)])
        made = pa.ListArray.from_arrays(np.cumsum(counts).astype(np.int32), inner)
        return made.cast(LISTS[kind](numbers, width)) if kind != "lists" else made
    return pa.array(lists, LISTS[kind](numbers, width))


def table(videos: Sequence[Made], kind: str = "lists") -> pa.Table:
    return pa.table(
        {
            "more": [1] * len(videos),
            "id": [each.id for each in videos],
            "frames": frames_column([each.frames for each in videos], kind),
            "labels": [each.labels for each in videos],
            "split": [each.split for each in videos],
        }
    )


def write(
    path: Path, found: pa.Table, *, stream: bool = True, rows: int = 7, **options: Any
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_ipc = pa.ipc.new_stream if stream else pa.ipc.new_file
    with write_ipc(path, found.schema, options=pa.ipc.IpcWriteOptions(**options)) as file:
        file.write_table(found, max_chunksize=rows)
    return path


def opened(path: Path, **knobs: Any) -> Splits:
    return built(HuggingFace, dir=str(path), **knobs).splits()


@settings(deadline=None, max_examples=60)
@given(
    data=st.data(),
    arrays=any_arrays(("uint8", "float16", "float32", "float64")),
    kind=st.sampled_from(list(LISTS)),
    stream=st.booleans(),
    rows=st.integers(1, 4),
)
def test_any_frames_are_those_that_arrow_wrote(
    data: st.DataObject, arrays: list[np.ndarray], kind: str, stream: bool, rows: int
) -> None:
    columns = {
        "frames": frames_column(arrays, kind),
        "video_id": [f"v{number}" for number in range(len(arrays))],
        "label": ["a;b"] * len(arrays),
        "split": [split_of(number) for number in range(len(arrays))],
    }
    first = data.draw(st.integers(0, len(arrays) - 3))
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder, "x.arrow"), pa.table(columns)[first:], stream=stream, rows=rows)
        splits = opened(path)
        assert_same(splits, {f"v{n}": arrays[n] for n in range(first, len(arrays))}, data)


def test_a_run_counts_the_bytes_of_the_chosen_frames(command: Command, tmp_path: Path) -> None:
    found = run(command, "huggingface", write(tmp_path / "data" / "x.arrow", table(made())).parent)
    assert found["data"]["classes"] == 3
    assert found["cost"]["bytes_read"] == 2 * 8 * 2


def test_names_of_columns_may_be_others(tmp_path: Path) -> None:
    videos = made(count=9)
    renamed = table(videos).rename_columns(["more", "key", "clip", "what", "part"])
    renamed = renamed.append_column("other", renamed["clip"])
    path = write(tmp_path / "x.arrow", renamed)
    with pytest.raises(DataError, match="2 columns of lists of lists of numbers"):
        opened(path)
    columns = {"id_column": "key", "labels_column": "what", "split_column": "part"}
    splits = opened(path, frames_column="clip", **columns)
    assert labels_of(splits) == {each.id: set(each.labels) for each in videos}
    with pytest.raises(
        DataError, match=r"data.id_column is 'nonsense', and its columns are more, key"
    ):
        opened(path, frames_column="clip", id_column="nonsense")


def test_rows_without_ids_are_numbered_within_their_split(tmp_path: Path) -> None:
    for number, name in enumerate(("train", "validation", "test")):
        part = table(made(count=9)[number::3]).drop_columns(["id", "split"])
        write(tmp_path / name / "data-00000-of-00001.arrow", part, rows=2)
        write(tmp_path / name / "cache-0123.arrow", part)
    splits = opened(tmp_path)
    assert list(splits.test.ids) == ["test-00000000", "test-00000001", "test-00000002"]


def test_files_named_as_the_library_names_them_are_the_splits(tmp_path: Path) -> None:
    for number, name in enumerate(("train-00000-of-00001", "validation", "test")):
        part = table(made(count=9)[number::3]).drop_columns(["split"])
        write(tmp_path / f"parquet-{name}.arrow", part)
    assert list(opened(tmp_path).validation.ids) == ["v1", "v4", "v7"]


def test_names_of_classes_are_those_of_the_metadata(tmp_path: Path) -> None:
    videos = made(count=9)
    kinds = ["dog", "cat", "bird"]
    numbers = pa.array([[kinds.index(name) for name in each.labels] for each in videos])
    found = table(videos).drop_columns(["labels"]).append_column("labels", numbers)
    label = {"feature": {"names": kinds, "_type": "ClassLabel"}, "_type": "List"}
    about = json.dumps({"info": {"features": {"labels": label}}})
    path = write(tmp_path / "x.arrow", found.replace_schema_metadata({"huggingface": about}))
    splits = opened(path)
    assert splits.train.class_names == kinds
    assert labels_of(splits) == {each.id: set(each.labels) for each in videos}
    damaged = found.replace_schema_metadata({"huggingface": "[" * 9999})
    assert opened(write(tmp_path / "y.arrow", damaged)).train.class_names is None


def test_a_table_beside_the_file_is_believed_rather_than_a_column(tmp_path: Path) -> None:
    path = write(tmp_path / "x.arrow", table(made(count=3)))
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        rows = [(f"v{n}", "owl", split_of(n)) for n in range(3)]
        csv.writer(file).writerows([("id", "labels", "split"), *rows])
    assert labels_of(opened(path)) == {f"v{n}": {"owl"} for n in range(3)}


FAULTS = {
    "none": "it has no frame",
    "null": "a frame or a number of it is missing",
    "null frame": "a frame or a number of it is missing",
    "null number": "a frame or a number of it is missing",
    "ragged": "its frames differ in width",
    "wide": "its type or width is not that of most arrays (float32 of 9, and most are float32 of 8)",
    "v1": "its id occurs before",
    "empty": "it has no label",
    "null labels": "it has no label",
    "": "its name is not one line of printable text",
}


def bad(folder: Path) -> Path:
    """Writes a folder with every fault: rows, and files that are none."""
    videos = made(dtype="float32")
    good = np.ones((2, 8), np.float32)
    rows: dict[str, Any] = {
        "none": [],
        "null": None,
        "null frame": [good[0], None],
        "null number": [[1.0] * 7 + [None]],
        "ragged": [good[0], good[0, :3]],
        "wide": np.ones((2, 9), np.float32).tolist(),
        "v1": good.tolist(),
        "empty": good.tolist(),
        "null labels": good.tolist(),
        "": good.tolist(),
        "nan": np.full((2, 8), np.nan).tolist(),
    }
    labels = [
        [] if name == "empty" else None if name == "null labels" else ["cat"] for name in rows
    ]
    more = pa.table(
        {
            "more": [1] * len(rows),
            "id": list(rows),
            "frames": pa.array(list(rows.values()), pa.list_(pa.list_(pa.float32()))),
            "labels": labels,
            "split": ["train"] * len(rows),
        }
    )
    write(folder / "a.arrow", pa.concat_tables([table(videos), more]))
    (folder / "text.arrow").write_text("hello")
    (folder / "empty.arrow").touch()
    (folder / "cut.arrow").write_bytes((folder / "a.arrow").read_bytes()[:900])
    write(folder / "compressed.arrow", table(videos), compression="zstd")
    return folder


def test_everything_that_is_wrong_is_told_at_once(command: Command, tmp_path: Path) -> None:
    folder = bad(tmp_path / "data")
    code, out, err = command("run", "--data", "huggingface", "--data-dir", folder, "--k", "2")
    assert (code, out) == (2, "")
    for name, why in FAULTS.items():
        assert f"  - {name}: {why}" in err
    for name in ("text", "empty", "cut"):
        assert f"  - {name}.arrow: it cannot be read as a table" in err
    assert "  - compressed.arrow: its columns are compressed; save it without compression" in err
    assert f"{len(FAULTS) + 4} of its videos cannot be used" in err


def test_what_is_wrong_is_left_out_and_counted(command: Command, tmp_path: Path) -> None:
    folder = bad(tmp_path / "data")
    found = run(command, "huggingface", folder, "--set", "data.skip_bad_records=true")
    assert sum(found["data"]["videos"].values()) == 60
    warnings = " ".join(found["warnings"])
    assert "3 records left out: a frame or a number of it is missing" in warnings
    assert "1 records left out: it has a number that is not finite" in warnings


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_whatever_bytes_are_changed_a_file_is_read_or_refused(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder, "x.arrow"), table(made(count=6)), stream=data.draw(st.booleans()))
        change_bytes(path, data)
        assert_read_or_refused(lambda: opened(path))


def test_columns_that_are_no_frames_are_refused(tmp_path: Path) -> None:
    for column, why in (
        ([1, 2, 3], "no column of lists of lists of numbers"),
        ([[1.0], [2.0], [3.0]], "no column of lists of lists of numbers"),
        (
            [[[1]], [[2]], [[3]]],
            r"its numbers are not uint8, float16, float32 or float64 \(int64\)",
        ),
    ):
        path = write(tmp_path / "x.arrow", pa.table({"id": ["a", "b", "c"], "frames": column}))
        with pytest.raises(DataError, match=why):
            opened(path)
    with pytest.raises(DataError, match="its frames are no lists of lists of numbers"):
        opened(path, frames_column="id")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match=r"no row in a \*.arrow"):
        opened(tmp_path / "nothing")


def test_a_dataset_that_the_library_saved_is_read_without_it(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    videos = made(count=9, dtype="float32")
    kinds = datasets.ClassLabel(names=["bird", "cat", "dog"])
    features = datasets.Features(
        {
            "frames": datasets.Array2D((None, 8), "float32"),
            "labels": datasets.Sequence(kinds),
        }
    )
    parts = {}
    for number, name in enumerate(("train", "validation", "test")):
        part = videos[number::3]
        columns = {"frames": [e.frames for e in part], "labels": [e.labels for e in part]}
        parts[name] = datasets.Dataset.from_dict(columns, features=features)
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    splits = opened(tmp_path / "saved")
    assert splits.train.class_names == ["bird", "cat", "dog"]
    read = splits.test.read(torch.tensor([1]), torch.tensor([[0, 2]]))
    assert np.array_equal(read[0].numpy(), videos[5].frames[[0, 2]])
    assert labels_of(splits)["test-00000001"] == set(videos[5].labels)


def test_a_dataset_is_loaded_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "library")
    videos = made(count=9, dtype="float32")
    (tmp_path / "mine").mkdir()
    for number, name in enumerate(("train", "validation", "test")):
        part = table(videos[number::3]).drop_columns(["split"])
        pq.write_table(part, tmp_path / "mine" / f"{name}.parquet")
    splits = built(HuggingFace, name=str(tmp_path / "mine")).splits()
    assert labels_of(splits) == {each.id: set(each.labels) for each in videos}
    with pytest.raises(DataError, match="cannot be loaded"):
        built(HuggingFace, name=str(tmp_path / "nowhere")).splits()
    with pytest.raises(DataError, match="give one of the two"):
        built(HuggingFace, name="a", dir="b").splits()


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install 'distillbench\[huggingface\]'"):
        built(HuggingFace, name="some/dataset").splits()


def test_several_labels_a_video_are_refused_where_there_is_to_be_one(tmp_path: Path) -> None:
    path = write(tmp_path / "x.arrow", table(made()))
    with pytest.raises(DataError, match="it has more than one label"):
        built(HuggingFaceSingleLabel, dir=str(path)).splits()


@pytest.mark.parametrize(("name", "most"), [("huggingface", 2), ("huggingface-single-label", 1)])
def test_it_keeps_the_contract(tmp_path: Path, name: str, most: int) -> None:
    path = write(tmp_path / "x.arrow", table(made(most)))
    component = next(each for each in installed() if each.name == name)
    found = verdicts(Subject(component, data_dir=str(path)))
    assert {verdict.status for verdict in found} == {"kept"}, found
