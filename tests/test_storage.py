from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from distillbench.errors import ResultError
from distillbench.results.store import prepare
from distillbench.storage import (
    check_writable,
    load_tensors,
    remove_drafts,
    replacing,
    save_tensors,
)

_WRITER = """
import sys, time
from pathlib import Path
from distillbench.storage import replacing
with replacing(Path(sys.argv[1])) as draft:
    draft.write_text("half of it")
    (draft.parent / ".tmpX7aQ1z").write_text("what a library writes beside it")
    print("writing", flush=True)
    time.sleep(100)
"""


@contextmanager
def writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of writing a file."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_what_a_killed_writer_left_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    with writer(tmp_path / "killed.safetensors") as killed, writer(tmp_path / "alive.safetensors"):
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        (tmp_path / "other.tmp").touch()
        (tmp_path / ".hidden").touch()
        assert len(list(tmp_path.iterdir())) == 4
        remove_drafts(tmp_path)
        kept = sorted(path.name.split(".")[1] for path in tmp_path.iterdir())
        assert kept == ["alive", "hidden", "tmp"]


def test_a_draft_of_this_process_is_kept_and_then_takes_its_place(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.json") as draft:
        draft.write_text("{}")
        remove_drafts(tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.json", "{}")]


def test_drafts_of_earlier_versions_are_removed_after_a_day(tmp_path: Path) -> None:
    names = [".teacher.safetensors.a1b2c3d4.tmp", ".writable-0123abcd"]
    for name in names:
        (tmp_path / name).touch()
    remove_drafts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        os.utime(tmp_path / name, (time.time() - 90_000,) * 2)
    remove_drafts(tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_locks_a_draft_is_removed_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr("fcntl.flock", unsupported)
    with replacing(tmp_path / "a.json") as draft:
        os.utime(draft.parent, (time.time() - 90_000,) * 2)
        remove_drafts(tmp_path)
        assert draft.is_file()
        os.utime(draft, (time.time() - 90_000,) * 2)
        os.utime(draft.parent, (time.time() - 90_000,) * 2)
        remove_drafts(tmp_path)
        assert not draft.parent.exists()
        draft.parent.mkdir()
        draft.touch()


def test_asking_whether_a_folder_can_be_written_leaves_nothing_there(tmp_path: Path) -> None:
    check_writable(tmp_path / "results")
    assert not list((tmp_path / "results").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(ResultError, match="cannot be written"):
        check_writable(tmp_path / "file" / "results")


@pytest.mark.parametrize("damage", ["folder", "pipe", "empty", "missing", "list", "deep"])
def test_tensors_that_cannot_be_read_are_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.safetensors"
    if damage == "folder":
        path.mkdir()
    elif damage == "pipe":
        os.mkfifo(path)
    elif damage == "empty":
        path.touch()
    elif damage == "list":
        save_tensors(path, {"a": torch.zeros(1)}, [1])  # type: ignore[arg-type]
    elif damage == "deep":
        whole = (save_tensors(path, {"a": torch.zeros(1)}, {"x": "[" * 50}), path.read_bytes())[1]
        path.write_bytes(whole.replace(b"[" * 50, b'"' * 50))
    with pytest.raises(ResultError, match=r"x\.safetensors"):
        load_tensors(path)


def test_a_run_begins_by_removing_what_killed_runs_left(tmp_path: Path) -> None:
    folders = [".", "teachers", "teachers/signals/0a", "checkpoints", "labels", "failures"]
    for name in folders:
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        with writer(tmp_path / name / "x.safetensors"):
            pass
    assert len(list(tmp_path.rglob("*.tmp"))) == len(folders)
    prepare(tmp_path)
    assert not list(tmp_path.rglob("*.tmp"))
