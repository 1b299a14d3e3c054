from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from distillbench.data import Recipe, ShardSource, Video, save_ids, write_shard, write_synthetic
from distillbench.data.batches import clips_at
from distillbench.errors import DataError
from distillbench.interfaces import NO_FRAME, Splits, Videos

NAMES = ("train", "validation", "test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shards of 50 videos each."""
    folder = tmp_path_factory.mktemp("shards")
    write_synthetic(folder, Recipe(videos=150, widths={"rgb": 4}, longest=3, classes=5), shards=3)
    return folder


def sizes(splits: Splits) -> tuple[int, int, int]:
    return len(splits.train), len(splits.validation), len(splits.test)


def ids(splits: Splits) -> dict[str, list[str]]:
    return {name: list(getattr(splits, name).ids) for name in NAMES}


def test_a_folder_alone_is_shared_out(folder: Path) -> None:
    splits = ShardSource(dir=str(folder), features="rgb").splits()
    assert sum(sizes(splits)) == 150
    assert min(sizes(splits)) > 5
    assert ids(splits) == ids(ShardSource(dir=str(folder), features="rgb").splits())


def test_the_users_own_split_is_kept(folder: Path) -> None:
    patterns = {name: f"*000{number}.tfrecord" for number, name in enumerate(NAMES)}
    splits = ShardSource(dir=str(folder), features="rgb", **patterns).splits()
    assert sizes(splits) == (50, 50, 50)
    assert splits.test.ids[0] == "s0v0000100"


def test_patterns_need_no_folder(folder: Path) -> None:
    patterns = {name: str(folder / f"*000{number}.tfrecord") for number, name in enumerate(NAMES)}
    assert sizes(ShardSource(features="rgb", **patterns).splits()) == (50, 50, 50)


def test_validation_without_shards_of_its_own_comes_out_of_training(folder: Path) -> None:
    source = ShardSource(
        dir=str(folder), features="rgb", train="*000[01].tfrecord", test="*0002.tfrecord"
    )
    splits = source.splits()
    assert len(splits.test) == 50
    assert len(splits.train) + len(splits.validation) == 100
    assert 2 < len(splits.validation) < 25


def test_a_fraction_touches_training_alone(folder: Path) -> None:
    whole = ShardSource(dir=str(folder), features="rgb").splits()
    half = ShardSource(dir=str(folder), features="rgb", fraction=0.5).splits()
    assert sizes(half)[1:] == sizes(whole)[1:]
    assert 30 < len(half.train) < 90
    assert set(half.train.ids) < set(whole.train.ids)


def test_the_share_for_validation_may_be_left_to_it(folder: Path) -> None:
    unsaid = ShardSource(dir=str(folder), features="rgb", validation_share=None)
    assert ids(unsaid.splits()) == ids(ShardSource(dir=str(folder), features="rgb").splits())


def decoded(videos: Videos) -> torch.Tensor:
    """Every frame of every video, (frames, D)."""
    which = torch.arange(len(videos))
    index = torch.arange(int(videos.lengths.max())).expand(len(which), -1)
    index = index.masked_fill(index >= videos.lengths[:, None], NO_FRAME)
    clips = clips_at(videos, which, index, index.shape[1])
    return videos.codec.decode(clips).frames[clips.mask()]


def test_frames_are_standardised_by_the_training_videos_alone(folder: Path) -> None:
    splits = ShardSource(dir=str(folder), features="rgb", normalise="standardise").splits()
    frames = decoded(splits.train).double()
    torch.testing.assert_close(frames.mean(0), torch.zeros(4).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        frames.std(0, correction=0), torch.ones(4).double(), atol=1e-5, rtol=0
    )
    assert decoded(splits.test).mean(0).abs().max() > 1e-3
    assert splits.test.codec == splits.train.codec


def test_each_list_may_be_divided_by_its_own_norm(tmp_path: Path) -> None:
    write_synthetic(tmp_path, Recipe(videos=40, widths={"rgb": 4, "audio": 2}, classes=5), shards=1)
    splits = ShardSource(
        dir=str(tmp_path), features="audio,rgb", normalise="l2-features", classes=5
    ).splits()
    frames = decoded(splits.train)
    for part in (frames[:, :2], frames[:, 2:]):
        torch.testing.assert_close(part.norm(dim=1), torch.ones(len(frames)))


def test_data_that_is_normalised_otherwise_is_other_data(folder: Path) -> None:
    ways = ("l2", "l2-features", "standardise", "none")
    opened = [ShardSource(dir=str(folder), features="rgb", normalise=how).splits() for how in ways]
    assert len({splits.train.fingerprint for splits in opened}) == len(ways)
    again = ShardSource(dir=str(folder), features="rgb").splits()
    assert again.train.fingerprint == opened[0].train.fingerprint


def test_a_dimension_that_never_changes_stays_finite(tmp_path: Path) -> None:
    frames = np.zeros((3, 4), dtype=np.uint8)
    frames[:, 1] = range(3)
    videos = [Video(f"v{number}", (number % 2,), {"rgb": frames}) for number in range(60)]
    write_shard(tmp_path / "a.tfrecord", videos)
    splits = ShardSource(dir=str(tmp_path), features="rgb", normalise="standardise").splits()
    found = decoded(splits.train)
    assert found.isfinite().all()
    assert not found[:, 0].any()


def test_lists_of_ids_make_the_split(folder: Path, tmp_path: Path) -> None:
    splits = ShardSource(dir=str(folder), features="rgb", split_seed=5).splits()
    save_ids(splits, tmp_path)
    assert ids(ShardSource(dir=str(folder), features="rgb", ids=str(tmp_path)).splits()) == ids(
        splits
    )


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "no data was named: give --data-dir"),
        ({"dir": "nowhere"}, "nowhere: no such folder"),
        ({"dir": "~nobody-of-that-name/x"}, "~nobody-of-that-name/x: no such folder"),
        ({"dir": "a" * 300}, "aaa: cannot be looked into: File name too long"),
        ({"dir": ".", "ids": "~nobody-of-that-name"}, "this list of ids cannot be read"),
        ({"dir": ".", "vocabulary": "~nobody-of-that-name"}, "this vocabulary cannot be read"),
        ({"test": "*.tfrecord"}, "a pattern was given for test and none for train"),
        (
            {"train": "*.tfrecord", "test": "*0.tfrecord"},
            r"0000.tfrecord is in the train and in the test split",
        ),
        (
            {"train": "*.nothing", "test": "*0.tfrecord"},
            r"nothing: no such folder, and no file matches",
        ),
        ({"train": "*0.tfrecord", "ids": "lists"}, "give one of the two"),
        ({"dir": ".", "features": "rgb,rgb"}, "none twice"),
        ({"dir": ".", "features": " "}, "must name at least one list"),
        ({"dir": ".", "validation_share": 0.0}, "the validation split has no video"),
        ({"dir": ".", "classes": 3}, "but there are 3 classes at most"),
    ],
)
def test_what_cannot_be_opened_says_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], why: str
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(DataError, match=why):
        ShardSource(**{"features": "rgb", **settings}).splits()  # type: ignore[arg-type]


def test_class_names_come_from_the_csv_beside_the_shards(folder: Path, tmp_path: Path) -> None:
    write_synthetic(tmp_path, Recipe(videos=60, widths={"rgb": 4}, longest=3, classes=2), shards=1)
    (tmp_path / "notes.csv").write_text("when,what\n1,2\n")
    (tmp_path / "names.csv").write_text('Index,Name\n0,zero\n2,"two, or so"\n')
    source = ShardSource(dir=str(tmp_path), features="rgb")
    assert source.splits().train.class_names == ["zero", "class 1", "two, or so"]
    assert source.splits().train.labels.count == 3
    chosen = ShardSource(dir=str(tmp_path), features="rgb", classes=2).splits()
    assert (chosen.train.class_names, chosen.train.labels.count) == (None, 2)
    (tmp_path / "more.csv").write_text("index,display_name\n0,none\n")
    with pytest.raises(DataError, match="several vocabularies"):
        source.splits()
    named = ShardSource(dir=str(tmp_path), features="rgb", vocabulary=str(tmp_path / "names.csv"))
    assert named.splits().train.labels.count == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("when,what\n1,2\n", "no vocabulary; it needs a column 'index'"),
        ("index,name\nx,y\n", "has no number"),
        ("index,name\n-1,y\n", "do not count from 0"),
        ("index,name\n99999999,y\n", "do not count from 0"),
        ("index,name\n", "do not count from 0"),
    ],
)
def test_a_vocabulary_that_is_none_says_why(
    folder: Path, tmp_path: Path, text: str, why: str
) -> None:
    path = tmp_path / "names.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=why):
        ShardSource(dir=str(folder), features="rgb", vocabulary=str(path)).splits()


def test_a_missing_vocabulary_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match=r"gone.csv: this vocabulary cannot be read"):
        ShardSource(dir=str(folder), features="rgb", vocabulary="gone.csv").splits()
