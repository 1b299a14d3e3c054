from __future__ import annotations

from pathlib import Path

import pytest
from running import built

from distillbench.data import Recipe, write_synthetic
from distillbench.errors import DataError
from distillbench_plugins.datasets.yt8m import YouTube8M


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_synthetic(
        tmp_path, Recipe(videos=900, widths={"rgb": 4, "audio": 2}, longest=2, classes=5), shards=2
    )
    return tmp_path


def test_rgb_and_audio_are_joined(folder: Path) -> None:
    splits = built(YouTube8M, dir=str(folder)).splits()
    assert splits.train.features == {"rgb": 4, "audio": 2}
    assert splits.train.width == 6
    assert built(YouTube8M, dir=str(folder), features="rgb").splits().train.width == 4


def test_beside_test_shards_validation_is_the_papers_share_of_training(folder: Path) -> None:
    splits = built(YouTube8M, dir=str(folder), train="*0.tfrecord", test="*1.tfrecord").splits()
    assert len(splits.test) == 450
    assert 1 <= len(splits.validation) <= 12


def test_a_folder_with_a_video_level_shard_is_refused_by_name(real_data: Path) -> None:
    with pytest.raises(DataError, match=r"video_level_2018.tfrecord: this is a video-level shard"):
        built(YouTube8M, dir=str(real_data / "yt8m")).splits()


def test_shards_of_another_kind_are_refused_with_the_lists_they_have(real_data: Path) -> None:
    with pytest.raises(DataError, match=r"it has no list 'rgb' \(lists found: audio_embedding\)"):
        built(YouTube8M, dir=str(real_data / "audioset")).splits()
