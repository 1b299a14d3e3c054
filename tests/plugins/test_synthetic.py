from __future__ import annotations

from pathlib import Path

import pytest

from distillbench.errors import DataError
from distillbench_plugins.datasets import synthetic
from distillbench_plugins.datasets.synthetic import Synthetic


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_videos_are_made_once_and_are_as_asked(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Synthetic(videos=120, rgb=6, audio=3, classes=8, longest=9)
    splits = data.splits()
    monkeypatch.setattr(synthetic, "write_synthetic", lambda *_: pytest.fail("written twice"))
    again = data.splits()
    assert splits.train.fingerprint == again.train.fingerprint
    assert splits.train.features == {"rgb": 6, "audio": 3}
    assert splits.train.labels.count == 8
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 120
    assert splits.train.lengths.max() <= 9
    assert [
        each.name for each in (cache / "synthetic").iterdir() if each.name.startswith(".")
    ] == []


def test_two_processes_may_write_the_same_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Synthetic(videos=60, rgb=2, longest=3)
    real = synthetic.write_synthetic

    def write_while_another_does(*arguments: object) -> object:
        monkeypatch.setattr(synthetic, "write_synthetic", real)
        data.splits()
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(synthetic, "write_synthetic", write_while_another_does)
    fingerprint = data.splits().train.fingerprint
    assert fingerprint == data.splits().train.fingerprint


def test_another_seed_makes_other_videos() -> None:
    one, other = (
        Synthetic(videos=60, rgb=2, audio=0, longest=3, seed=seed).splits() for seed in (0, 1)
    )
    assert one.train.features == {"rgb": 2}
    assert not set(one.train.ids) & set(other.train.ids)


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(DataError, match="classes is 0"):
        Synthetic(classes=0).splits()
    with pytest.raises(DataError, match="shards is 0 and must be at least 1"):
        Synthetic(shards=0).splits()


def test_a_cache_that_cannot_be_written_is_named(cache: Path) -> None:
    cache.write_text("a file in the way")
    with pytest.raises(DataError, match=r"cannot be written: .*set \$DISTILLBENCH_CACHE"):
        Synthetic(videos=10).splits()
