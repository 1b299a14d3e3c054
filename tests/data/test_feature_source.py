"""Folders of arrays and their labels: what makes three splits of them, and what is wrong with them."""

from __future__ import annotations

import csv
import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distillbench.data import FeatureSource, NpyFolder, save_ids
from distillbench.data.label_table import classes_of, read_label_table
from distillbench.errors import DataError
from distillbench.interfaces import Splits, Videos

NAMES = ("train", "validation", "test")
KINDS = ("cat", "dog", "owl")


def array(number: int, width: int = 4) -> np.ndarray:
    return np.full((1 + number % 5, width), number, np.float16)


def write_arrays(folder: Path, names: Sequence[str]) -> None:
    for number, name in enumerate(names, start=1):
        path = folder / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array(number))


def write_table(path: Path, rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head or ("id", "labels"), *rows])


def ids_of(splits: Splits) -> dict[str, list[str]]:
    return {name: list(getattr(splits, name).ids) for name in NAMES}


def labels_of(splits: Splits) -> dict[str, set[str]]:
    """The names of each video's labels, or their numbers."""
    found = {}
    for videos in (splits.train, splits.validation, splits.test):
        dense = videos.labels.dense(torch.arange(len(videos)))
        for name, row in zip(videos.ids, dense, strict=True):
            numbers = row.nonzero().flatten().tolist()
            found[name] = {videos.class_names[n] if videos.class_names else str(n) for n in numbers}
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty arrays at two depths, and labels.csv."""
    names = [f"{'deep/' if n % 2 else ''}v{n:02d}" for n in range(60)]
    write_arrays(tmp_path / "data", names)
    rows = [(name, ";".join(sorted({KINDS[n % 3], KINDS[n % 2]}))) for n, name in enumerate(names)]
    write_table(tmp_path / "data" / "labels.csv", rows)
    return tmp_path / "data"


def opened(folder: Path, **knobs: Any) -> Splits:
    return FeatureSource(
        **{"dir": str(folder), "validation_share": 0.2, "test_share": 0.2} | knobs
    ).splits(NpyFolder())


def test_a_folder_alone_is_shared_out_by_a_hash(folder: Path) -> None:
    splits = opened(folder)
    ids = ids_of(splits)
    assert sum(map(len, ids.values())) == 60
    assert min(map(len, ids.values())) > 4
    assert ids == ids_of(opened(folder))
    assert ids != ids_of(opened(folder, split_seed=1))
    assert splits.train.features == {"features": 4}
    assert splits.train.class_names == list(KINDS)


def test_the_frames_and_labels_of_an_id_are_its_own(folder: Path) -> None:
    splits = opened(folder)
    for videos in (splits.train, splits.validation, splits.test):
        for video, name in enumerate(videos.ids):
            number = int(name[-2:])
            assert videos.lengths[video] == 1 + (number + 1) % 5
            read = videos.read(torch.tensor([video]), torch.tensor([[0]]))
            assert read.dtype == torch.float16
            assert (read == number + 1).all()
            assert labels_of(splits)[name] == {KINDS[number % 3], KINDS[number % 2]}


def test_a_fraction_is_nested_and_touches_training_alone(folder: Path) -> None:
    whole, half, few = (opened(folder, fraction=share) for share in (1.0, 0.5, 0.2))
    assert set(few.train.ids) < set(half.train.ids) < set(whole.train.ids)
    assert ids_of(half)["test"] == ids_of(whole)["test"]


def test_lists_name_the_videos_of_each_split(folder: Path, tmp_path: Path) -> None:
    splits = opened(folder, split_seed=5)
    save_ids(splits, tmp_path / "ids")
    assert ids_of(opened(folder, ids=str(tmp_path / "ids"))) == ids_of(splits)


def test_ids_may_have_blanks(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_arrays(data, [f"my video {n}" for n in range(30)])
    write_table(data / "labels.csv", [(f"my video {n}", "a") for n in range(30)])
    splits = opened(data)
    save_ids(splits, tmp_path / "ids")
    assert ids_of(opened(data, ids=str(tmp_path / "ids"))) == ids_of(splits)


def test_a_column_names_the_split_of_each_video(folder: Path) -> None:
    names = sorted(labels_of(opened(folder)))
    rows = [(name, "cat;dog", NAMES[n % 3]) for n, name in enumerate(names)]
    write_table(folder / "labels.csv", rows, ("ID", "Labels", "Split"))
    assert ids_of(opened(folder)) == {name: names[n::3] for n, name in enumerate(NAMES)}
    assert ids_of(opened(folder, split_by="hash")) != ids_of(opened(folder))


def test_a_column_without_validation_has_it_drawn_of_training(folder: Path) -> None:
    names = sorted(labels_of(opened(folder)))
    rows = [(name, "cat", "test" if n < 20 else "train") for n, name in enumerate(names)]
    write_table(folder / "labels.csv", rows, ("id", "labels", "split"))
    ids = ids_of(opened(folder))
    assert ids["test"] == names[:20]
    assert 2 < len(ids["validation"]) < 20
    assert sorted(ids["train"] + ids["validation"]) == names[20:]


def test_folders_named_train_validation_and_test_are_the_splits(tmp_path: Path) -> None:
    for number, split in enumerate(NAMES):
        write_arrays(tmp_path / split, [f"a/v{number}{n}" for n in range(3)])
    write_table(tmp_path / "labels.csv", [(f"a/v{n}{m}", "x") for n in range(3) for m in range(3)])
    expected = {split: [f"a/v{n}{m}" for m in range(3)] for n, split in enumerate(NAMES)}
    assert ids_of(opened(tmp_path)) == expected
    (tmp_path / "other").mkdir()
    np.save(tmp_path / "other" / "w.npy", array(1))
    with pytest.raises(DataError, match="none of the folders train, validation, test"):
        opened(tmp_path)


def test_the_same_id_in_two_folders_is_a_fault(tmp_path: Path) -> None:
    write_arrays(tmp_path / "train", ["a", "b"])
    write_arrays(tmp_path / "test", ["a"])
    write_table(tmp_path / "labels.csv", [("a", "x"), ("b", "x")])
    with pytest.raises(DataError, match=r"a: its id occurs before \(.*train/a.npy\)"):
        opened(tmp_path)


@pytest.mark.parametrize("single", ["train", "photos"])
def test_one_folder_is_no_split(tmp_path: Path, single: str) -> None:
    names = [f"{single}/v{n}" for n in range(40)]
    write_arrays(tmp_path, names)
    write_table(tmp_path / "labels.csv", [(name, "x") for name in names])
    assert sorted(labels_of(opened(tmp_path))) == sorted(names)


def test_ways_to_split_that_are_not_there_are_refused(folder: Path, tmp_path: Path) -> None:
    for knobs, why in (
        ({"split_by": "column"}, "there is none 'split'"),
        ({"split_by": "folders"}, "there is no train and test"),
        ({"split_by": "lists"}, "data.ids names no folder"),
        ({"split_by": "hash", "ids": str(tmp_path)}, "give one of the two"),
    ):
        with pytest.raises(DataError, match=why):
            opened(folder, **knobs)


@pytest.mark.parametrize(
    "column",
    [
        ["a;b", "b", " a ; b ;"],
        [["a", "b"], ["b"], ["a", "b", "a"]],
        pa.array(["a;b", "b", "a;b"]).dictionary_encode(),
    ],
)
def test_a_parquet_is_a_table_too(tmp_path: Path, column: Any) -> None:
    write_arrays(tmp_path, ["u", "v", "w"])
    table = {"id": ["u", "v", "w"], "labels": column, "split": NAMES, "more": [1, 2, 3]}
    pq.write_table(pa.table(table), tmp_path / "labels.parquet")
    assert labels_of(opened(tmp_path)) == {"u": {"a", "b"}, "v": {"b"}, "w": {"a", "b"}}


@pytest.mark.parametrize("column", [[2, 0, 2], [2.0, 0.0, 2.0], [[2], [0], [2]]])
def test_numbers_of_classes_in_a_parquet_are_numbers(tmp_path: Path, column: Any) -> None:
    write_arrays(tmp_path, ["u", "v", "w"])
    table = pa.table({"id": ["u", "v", "w"], "labels": column, "split": NAMES})
    pq.write_table(table, tmp_path / "t.parquet")
    splits = opened(tmp_path, labels=str(tmp_path / "t.parquet"))
    assert splits.train.labels.count == 3
    assert splits.train.class_names is None
    assert labels_of(splits) == {"u": {"2"}, "v": {"0"}, "w": {"2"}}


def write_json(folder: Path, labels: Mapping[str, object]) -> None:
    for name, each in labels.items():
        (folder / f"{name}.json").write_text(json.dumps({"labels": each, "title": "more"}))


def test_labels_may_lie_beside_the_arrays(tmp_path: Path) -> None:
    names = [f"v{n}.x" for n in range(40)]
    write_arrays(tmp_path, names)
    write_json(tmp_path, {name: ["a;b", "c"] for name in names})
    (tmp_path / "about.json").write_text('{"made": "by hand"}')
    splits = opened(tmp_path)
    assert splits.train.class_names == ["a;b", "c"]
    assert set(labels_of(splits)) == set(names)


def test_json_that_cannot_be_used_is_told_with_the_rest(tmp_path: Path) -> None:
    write_arrays(tmp_path, [f"v{n}" for n in range(8)])
    write_json(tmp_path, {"v0": ["a"], "v1": "a", "v2": [True], "v3": [], "v9": ["a"]})
    (tmp_path / "v4.json").write_bytes(b"[" * 100_000)
    (tmp_path / "v5.json").write_bytes(b'{"labels": [' + b"9" * 5000 + b"]}")
    (tmp_path / "v6.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    text = str(caught.value)
    for name in ("v1", "v2", "v4", "v5", "v6"):
        assert f"{name}: the JSON beside its array cannot be used" in text
    assert "v3: it has no label" in text
    assert "v7: it has an array and no labels" in text
    assert "v9.json: it has labels and no array" in text
    assert ": 8 of its videos cannot be used" in text


def test_names_of_classes_come_from_a_file_where_there_is_one(folder: Path) -> None:
    (folder / "classes.txt").write_text("owl\ncat\ndog\nfox\n")
    splits = opened(folder)
    assert splits.train.class_names == ["owl", "cat", "dog", "fox"]
    assert labels_of(splits)["v00"] == {"cat"}
    (folder / "names.csv").write_text("index,name\n0,dog\n1,cat\n2,owl\n")
    named = opened(folder, vocabulary=str(folder / "names.csv"))
    assert named.train.class_names == ["dog", "cat", "owl"]
    assert labels_of(named) == labels_of(splits)


def test_numbers_are_places_among_the_names_unless_they_are_names(tmp_path: Path) -> None:
    write_arrays(tmp_path, ["u", "v", "w"])
    rows = [(name, number, split) for name, number, split in zip("uvw", "102", NAMES, strict=True)]
    write_table(tmp_path / "labels.csv", rows, ("id", "labels", "split"))
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    assert labels_of(opened(tmp_path)) == {"u": {"b"}, "v": {"a"}, "w": {"c"}}
    (tmp_path / "classes.txt").write_text("2\n1\n0\n")
    assert labels_of(opened(tmp_path)) == {"u": {"1"}, "v": {"0"}, "w": {"2"}}


def test_the_number_of_classes_may_be_said(tmp_path: Path) -> None:
    write_arrays(tmp_path, ["u", "v", "w"])
    rows = [(name, "3", split) for name, split in zip("uvw", NAMES, strict=True)]
    write_table(tmp_path / "labels.csv", rows, ("id", "labels", "split"))
    assert opened(tmp_path).train.labels.count == 4
    assert opened(tmp_path, classes=9).train.labels.count == 9
    with pytest.raises(DataError, match=r"u: a label is no class \(3\)"):
        opened(tmp_path, classes=3)


def test_single_label_data_has_one_label_a_video(folder: Path) -> None:
    with pytest.raises(DataError, match=r"it has more than one label \(cat;dog\)"):
        FeatureSource(dir=str(folder)).splits(NpyFolder(), "single-label")


@pytest.fixture
def bad(folder: Path) -> Path:
    """The folder with one fault of every kind."""
    np.save(folder / "wide.npy", array(1, 5))
    np.save(folder / "double.npy", array(1).astype(np.float64))
    np.save(folder / "nan.npy", np.full((3, 4), np.nan, np.float16))
    np.save(folder / "none.npy", array(1)[:0])
    np.save(folder / "objects.npy", np.array([[{}]], object), allow_pickle=True)
    (folder / "cut.npy").write_bytes((folder / "v00.npy").read_bytes()[:-1])
    (folder / "text.npy").write_text("hello")
    np.save(folder / "unlabelled.npy", array(1))
    np.save(folder / "two\nlines.npy", array(1))
    np.save(folder / "empty.npy", array(1))
    (folder / "away.npy").symlink_to(folder / "nowhere")
    with (folder / "labels.csv").open("a", newline="") as file:
        named = (
            "wide",
            "double",
            "nan",
            "none",
            "objects",
            "cut",
            "text",
            "away",
            "missing",
            "v00",
        )
        csv.writer(file).writerows([*((name, "cat") for name in named), ("empty", " ; ")])
    return folder


FAULTS = {
    "wide": "its type or width is not that of most arrays (float16 of 5, and most are float16 of 4)",
    "double": "its type or width is not that of most arrays (float64 of 4, and most are float16 of 4)",
    "none": "it has no frame",
    "objects": "it holds pickled objects, which are never unpickled",
    "cut": "it is not as long as its header says (143 bytes, and there should be 144)",
    "text": "it is no .npy file, or its header is damaged",
    "unlabelled": "it has an array and no labels",
    "away": "it cannot be read (No such file or directory)",
    "missing": "it has labels and no array",
    "v00": "its id occurs before (in the table of labels)",
    "empty": "it has no label",
    "two\nlines": "its name is not one line of printable text",
}


def test_everything_that_is_wrong_is_told_at_once(bad: Path) -> None:
    with pytest.raises(DataError) as caught:
        opened(bad)
    first, *told = caught.value.problems
    assert first.startswith(f"{bad}: {len(FAULTS)} of its videos cannot be used; mend them")
    assert "data.skip_bad_records=true" in first
    assert sorted(told) == sorted(f"{name}: {why}" for name, why in FAULTS.items())
    with pytest.raises(DataError, match=r"nan: it has a number that is not finite \(frame 0\)"):
        opened(bad, check_values=True)


def test_what_is_wrong_can_be_left_out_and_counted(
    bad: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        splits = opened(bad, skip_bad_records=True)
    assert sum(map(len, ids_of(splits).values())) == 60
    assert "left out 13 videos" in caplog.text
    reasons = {why.partition(" (")[0] for why in FAULTS.values()}
    counts = dict.fromkeys(reasons, 1) | {"it has a number that is not finite": 1}
    assert splits.train.skipped == counts | {"its type or width is not that of most arrays": 2}


def test_only_the_first_faults_are_listed(tmp_path: Path) -> None:
    write_arrays(tmp_path, ["v"])
    write_table(tmp_path / "labels.csv", [(f"w{n}", "a") for n in range(200)])
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    assert len(caught.value.problems) == 22
    assert caught.value.problems[0].startswith(f"{tmp_path}: 201 of its videos")
    assert caught.value.problems[-1] == "and 181 more"


def test_a_folder_in_which_nothing_can_be_used_is_an_error_even_if_bad_ones_are_skipped(
    tmp_path: Path,
) -> None:
    write_arrays(tmp_path, ["v"])
    write_table(tmp_path / "labels.csv", [("w", "a")])
    with pytest.raises(DataError, match="none of its 1 arrays can be used"):
        opened(tmp_path, skip_bad_records=True)


def test_folders_that_hold_nothing_say_so(tmp_path: Path) -> None:
    (tmp_path / "x.npy").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / ".hidden.npy").write_text("")
    with pytest.raises(DataError, match=r"no \*.npy in this folder or below it"):
        opened(tmp_path)
    with pytest.raises(DataError, match="there is no such file or folder"):
        opened(tmp_path / "nowhere")
    with pytest.raises(DataError, match="give --data-dir with"):
        FeatureSource().splits(NpyFolder())


def test_folders_that_are_links_are_entered_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for split in NAMES:
        write_arrays(tmp_path / f"real-{split}", [f"of {split}"])
        (data / split).symlink_to(tmp_path / f"real-{split}")
    (tmp_path / "real-train" / "loop").symlink_to(data)
    write_table(data / "labels.csv", [(f"of {split}", "x") for split in NAMES])
    assert ids_of(opened(data)) == {split: [f"of {split}"] for split in NAMES}


def test_a_folder_that_cannot_be_looked_into_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refusing(place: Any) -> Any:
        if str(place).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match="deep: cannot be looked into: Permission denied"):
        opened(folder)


TABLES = {
    "": "needs the columns 'id' and 'labels'; found none",
    "name,class\na,b\n": "needs the columns 'id' and 'labels'; found name, class",
    "id,labels\n": "has no row",
    "id,labels\na,\xff": "cannot be read",
    'id,labels\na,"' + "x" * 200_000: "cannot be read: field larger",
}


@pytest.mark.parametrize("text", TABLES)
def test_tables_that_are_none_are_refused(folder: Path, text: str) -> None:
    (folder / "labels.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=TABLES[text]):
        opened(folder)


@settings(deadline=None, max_examples=100)
@given(content=st.binary(max_size=60), column=st.sampled_from(["labels", "split", "more"]))
def test_whatever_a_table_holds_it_is_read_or_refused(content: bytes, column: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "labels.csv")
        path.write_bytes(f"id,labels,{column}\n".encode() + content)
        with suppress(DataError):
            rows, _ = read_label_table(path)
            classes_of((label for row in rows for label in row.labels), None, None)


def test_files_that_contradict_one_another_or_are_none_are_refused(folder: Path) -> None:
    (folder / "labels.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(DataError, match=r"are both there; set data\.labels to one"):
        opened(folder)
    with pytest.raises(DataError, match=r"labels.parquet: this table of labels cannot be read"):
        opened(folder, labels=str(folder / "labels.parquet"))
    with pytest.raises(DataError, match=r"a table of labels is .csv or .parquet"):
        opened(folder, labels=str(folder / "labels.json"))
    os.unlink(folder / "labels.parquet")
    (folder / "classes.txt").write_text("cat\ncat\n")
    with pytest.raises(DataError, match="names of classes must be different"):
        opened(folder)
    (folder / "classes.csv").write_text("index,name\n0,cat\n")
    with pytest.raises(DataError, match=r"set data\.vocabulary to one"):
        opened(folder)


def test_names_that_are_fewer_or_more_than_said_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="classes is 7, and 3 classes are named"):
        opened(folder, classes=7)


def test_numbers_of_uint8_are_what_they_are_unless_scaled(folder: Path) -> None:
    plain = opened(folder).train
    assert plain.codec.describe() == {"scale": 1.0, "offset": 0.0, "normalise": "none"}
    with pytest.raises(DataError, match="are for uint8, and these arrays are float16"):
        opened(folder, scale=0.5)
    for path in folder.rglob("*.npy"):
        np.save(path, np.load(path).astype(np.uint8))
    scaled = opened(folder, scale=0.5, offset=-1.0).train
    assert (scaled.codec.scale, scaled.codec.offset) == (0.5, -1.0)
    assert scaled.fingerprint != opened(folder).train.fingerprint


@pytest.mark.parametrize(
    ("knobs", "why"),
    [
        ({"scale": 0.0}, "arrays: scale is 0.0 and must be at least"),
        ({"offset": 1e30}, "arrays: offset is 1e\\+30 and must be at most"),
        ({"classes": 0}, "arrays: classes is 0 and must be at least 1"),
        ({"fraction": 0.0}, "a training fraction of 0.0"),
        ({"validation_share": 0.9}, "leave nothing to train on"),
    ],
)
def test_knobs_that_make_no_sense_are_refused(
    folder: Path, knobs: dict[str, Any], why: str
) -> None:
    with pytest.raises(DataError, match=why):
        opened(folder, **knobs)


def test_normalising_reaches_every_split(folder: Path) -> None:
    splits = opened(folder, normalise="standardise")
    assert {videos.codec for videos in (splits.train, splits.validation, splits.test)} == {
        splits.train.codec
    }
    assert len(splits.train.codec.mean) == 4


def whole(videos: Videos) -> torch.Tensor:
    return videos.read(torch.arange(len(videos)), torch.zeros(len(videos), 1, dtype=torch.int64))


def test_two_opens_agree(folder: Path) -> None:
    first, again = opened(folder), opened(folder)
    for name in NAMES:
        one, other = getattr(first, name), getattr(again, name)
        assert one.fingerprint == other.fingerprint
        assert torch.equal(whole(one), whole(other))
