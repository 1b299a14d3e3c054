"""What a process has in hand of a folder of results, other processes leave to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from other_process import Other, another_process

from distillbench.experiments import shared_folder
from distillbench.experiments.shared_folder import Claims, SharedFolder

pytestmark = pytest.mark.skipif(shared_folder.fcntl is None, reason="needs locks of files")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Other]:
    with another_process(tmp_path) as other:
        yield other


def test_all_names_are_claimed_or_none(tmp_path: Path, other: Other) -> None:
    ours = Claims(tmp_path)
    assert ours.take("run", "teacher") is None
    assert other.take("other run", "teacher") == "teacher"
    assert ours.take("other run") is None
    ours.leave("teacher", "unknown")
    assert other.take("teacher") is None
    assert other.take("run") == "run"
    ours.close()
    assert other.take("run", "other run") is None


def test_what_a_process_has_it_may_claim_again(tmp_path: Path, other: Other) -> None:
    ours = Claims(tmp_path)
    assert ours.take("run") is None
    assert other.take("teacher") is None
    assert ours.take("run", "teacher") == "teacher"
    assert other.take("run") == "run"


def test_a_claim_ends_with_its_process_however_that_ends(tmp_path: Path, other: Other) -> None:
    assert other.take("run") is None
    assert Claims(tmp_path).take("run") == "run"
    other.kill()
    assert Claims(tmp_path).take("run") is None


def test_any_number_of_claims_takes_one_open_file(tmp_path: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    ours = Claims(tmp_path)
    assert ours.take(*(f"run {number}" for number in range(500))) is None
    assert len(os.listdir("/dev/fd")) == before + 1
    ours.close()
    assert len(os.listdir("/dev/fd")) == before


def test_whoever_may_write_to_the_folder_may_claim(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    ours = Claims(tmp_path)
    assert ours.take("run") is None
    assert (tmp_path / ".claims").stat().st_mode & 0o777 == 0o660


def test_where_nothing_can_be_locked_every_claim_is_granted(
    tmp_path: Path, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert other.take("run") is None
    monkeypatch.setattr(shared_folder, "fcntl", None)
    assert Claims(tmp_path).take("run") is None
    monkeypatch.undo()
    assert Claims(tmp_path / "nowhere").take("run") is None


def test_a_file_that_another_has_is_asked_for_again_after_a_while(
    tmp_path: Path, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    shared = SharedFolder(tmp_path, files)
    assert other.take("a.json") is None
    assert shared.claim(*files) == files[0]
    other.leave("a.json")
    assert shared.claim(*files) == files[0]
    assert shared.claim(files[1]) is None
    monkeypatch.setattr(shared_folder.time, "monotonic", lambda: float("inf"))
    assert shared.claim(*files) is None


def test_a_file_was_made_if_it_is_there_and_is_not_the_one_there_was(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text("{}")
    shared = SharedFolder(tmp_path, [old, new])
    assert not shared.was_made(old)
    assert not shared.was_made(new)
    for file in (old, new):
        (tmp_path / "draft").write_text("[]")
        (tmp_path / "draft").replace(file)
        assert shared.was_made(file)
    old.unlink()
    assert not shared.was_made(old)
