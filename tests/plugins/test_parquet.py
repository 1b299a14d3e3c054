"""Parquet files, which are converted once, and files that are none."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plugins.own_features import any_arrays, assert_same, labels_of, made, split_of
from plugins.test_huggingface import frames_column, table
from plugins.test_npy import run
from running import built, installed

from distillbench.errors import DataError
from distillbench.interfaces import Splits
from distillbench.testing.promises import Subject
from distillbench.testing.runner import verdicts
from distillbench_plugins.datasets.parquet import Parquet, ParquetSingleLabel

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path / "cache"))


def opened(path: Path, **knobs: Any) -> Splits:
    return built(Parquet, dir=str(path), **knobs).splits()


@settings(deadline=None, max_examples=30)
@given(data=st.data(), arrays=any_arrays(), rows=st.integers(1, 4))
def test_any_frames_are_those_that_pyarrow_wrote(
    data: st.DataObject, arrays: list[np.ndarray], rows: int
) -> None:
    columns = {
        "frames": frames_column(arrays),
        "id": [f"v{number}" for number in range(len(arrays))],
        "labels": ["a;b"] * len(arrays),
        "split": [split_of(number) for number in range(len(arrays))],
    }
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(pa.table(columns), Path(folder, "x.parquet"), row_group_size=rows)
        splits = opened(Path(folder, "x.parquet"))
        assert_same(splits, {f"v{n}": array for n, array in enumerate(arrays)}, data)


def test_a_file_is_converted_once_and_what_is_not_needed_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(table(made()), path)
    first = opened(path)
    assert f"converting {path} once" in caplog.text
    (converted,) = (tmp_path / "cache" / "arrow").glob("*.arrow")
    with pa.ipc.open_file(converted) as file:
        assert file.schema.names == ["id", "frames", "labels", "split"]
    caplog.clear()
    assert opened(path).train.fingerprint == first.train.fingerprint
    assert "converting" not in caplog.text
    pq.write_table(table(made(count=20)), path)
    assert len(opened(path).train) == 12


def test_a_run_counts_the_bytes_of_the_chosen_frames(command: Command, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    pq.write_table(table(made()), tmp_path / "data" / "x.parquet")
    found = run(command, "parquet", tmp_path / "data")
    assert found["cost"]["bytes_read"] == 2 * 8 * 2


def test_a_table_of_labels_is_no_file_of_videos(tmp_path: Path) -> None:
    pq.write_table(table(made(count=3)).drop_columns(["labels", "split"]), tmp_path / "x.parquet")
    rows = {
        "id": ["v0", "v1", "v2"],
        "labels": ["owl"] * 3,
        "split": ["train", "test", "validation"],
    }
    pq.write_table(pa.table(rows), tmp_path / "labels.parquet")
    assert labels_of(opened(tmp_path)) == {f"v{n}": {"owl"} for n in range(3)}


def test_files_that_are_none_are_listed_or_left_out(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    pq.write_table(table(made()), folder / "good.parquet")
    whole = (folder / "good.parquet").read_bytes()
    (folder / "text.parquet").write_text("hello")
    (folder / "empty.parquet").touch()
    (folder / "cut.parquet").write_bytes(whole[:-100])
    (folder / "damaged.parquet").write_bytes(whole[:200] + b"\xff" * 300 + whole[500:])
    named = ["--data", "parquet", "--data-dir", folder, "--k", "2"]
    code, out, err = command("run", *named)
    assert (code, out) == (2, "")
    for name in ("text", "empty", "cut", "damaged"):
        assert f"  - {name}.parquet: it cannot be read as a table" in err
    found = run(command, "parquet", folder, "--set", "data.skip_bad_records=true")
    assert sum(found["data"]["videos"].values()) == 60
    assert not list((tmp_path / "cache" / "arrow").glob("damaged*"))


def test_several_labels_a_video_are_refused_where_there_is_to_be_one(tmp_path: Path) -> None:
    pq.write_table(table(made()), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="it has more than one label"):
        built(ParquetSingleLabel, dir=str(tmp_path)).splits()


@pytest.mark.parametrize(("name", "most"), [("parquet", 2), ("parquet-single-label", 1)])
def test_it_keeps_the_contract(tmp_path: Path, name: str, most: int) -> None:
    pq.write_table(table(made(most)), tmp_path / "x.parquet")
    component = next(each for each in installed() if each.name == name)
    found = verdicts(Subject(component, data_dir=str(tmp_path / "x.parquet")))
    assert {verdict.status for verdict in found} == {"kept"}, found
