from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from distillbench.data import (
    Ids,
    ShardVideos,
    Subset,
    Video,
    load_ids,
    nested_fraction,
    save_ids,
    split_by_hash,
    splits_of,
    write_shard,
)
from distillbench.errors import DataError

IDS = [f"video{number}" for number in range(2000)]
HASHES = [10761896268195008625, 12937615768748818313, 11298882192546945590, 9261740936753912999]


@pytest.fixture
def videos(tmp_path: Path) -> ShardVideos:
    path = tmp_path / "a.tfrecord"
    frames = [np.full((1 + number % 3, 2), number, np.uint8) for number in range(30)]
    write_shard(
        path, [Video(f"v{number}é", [number % 5], {"rgb": frames[number]}) for number in range(30)]
    )
    return ShardVideos([path], ["rgb"])


def names(part: torch.Tensor, ids: list[str]) -> set[str]:
    return {ids[number] for number in part.tolist()}


def test_shares_are_about_as_asked_and_leave_nobody_out() -> None:
    parts = split_by_hash(IDS, 0.1, 0.2)
    assert sorted(torch.cat(parts).tolist()) == list(range(2000))
    assert [len(part) / 2000 for part in parts] == pytest.approx([0.7, 0.1, 0.2], abs=0.03)


def test_a_video_stays_in_its_split_when_others_come_and_go() -> None:
    whole, fewer = split_by_hash(IDS, 0.1, 0.2), split_by_hash(IDS[500:1000], 0.1, 0.2)
    for one, other in zip(whole, fewer, strict=True):
        assert names(other, IDS[500:1000]) <= names(one, IDS)


def test_a_hash_never_changes() -> None:
    assert Ids.of(["", "a", "SjJ3", "é"]).hashes(7).tolist() == HASHES


def test_the_seed_changes_the_split() -> None:
    assert not torch.equal(split_by_hash(IDS, 0.1, 0.2)[2], split_by_hash(IDS, 0.1, 0.2, seed=1)[2])


def test_smaller_fractions_are_within_larger_ones_and_independent_of_the_split() -> None:
    train = split_by_hash(IDS, 0.1, 0.2)[0]
    parts = [nested_fraction(IDS, train, fraction) for fraction in (0.1, 0.25, 0.5, 1.0)]
    for smaller, larger in pairwise(parts):
        assert set(smaller.tolist()) <= set(larger.tolist())
    assert [len(part) / len(train) for part in parts] == pytest.approx(
        [0.1, 0.25, 0.5, 1.0], abs=0.05
    )


@pytest.mark.parametrize("fraction", [0.0, -1.0, 1.5])
def test_a_fraction_outside_zero_to_one_is_refused(fraction: float) -> None:
    with pytest.raises(DataError, match="must be above 0 and at most 1"):
        nested_fraction(IDS, torch.arange(3), fraction)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (-0.1, 0.2), (0.2, 1.0)])
def test_shares_that_leave_nothing_to_train_on_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(DataError, match="leave nothing to train on"):
        split_by_hash(IDS, *shares)


def test_a_subset_reads_its_own_videos(videos: ShardVideos) -> None:
    subset = Subset(videos, torch.tensor([7, 3, 29]))
    assert list(subset.ids) == ["v7é", "v3é", "v29é"]
    assert subset.lengths.tolist() == [2, 1, 3]
    assert subset.read(torch.tensor([2, 0]), torch.tensor([[0], [1]])).tolist() == [
        [[29, 29]],
        [[7, 7]],
    ]
    assert subset.labels.dense(torch.arange(3)).argmax(1).tolist() == [2, 3, 4]
    again = Subset(subset, torch.tensor([1]))
    assert list(again.ids) == ["v3é"]
    assert len({videos.fingerprint, subset.fingerprint, again.fingerprint}) == 3


def test_a_saved_split_is_loaded_as_it_was(videos: ShardVideos, tmp_path: Path) -> None:
    splits = splits_of(videos, torch.arange(20), torch.arange(20, 25), torch.arange(25, 30))
    save_ids(splits, tmp_path / "ids")
    assert (tmp_path / "ids" / "test.txt").read_text("utf-8").splitlines() == list(splits.test.ids)
    loaded = load_ids(videos.ids, tmp_path / "ids")
    assert [part.tolist() for part in loaded] == [
        list(range(20)),
        list(range(20, 25)),
        list(range(25, 30)),
    ]


def test_a_listed_id_that_no_video_has_is_named(videos: ShardVideos, tmp_path: Path) -> None:
    save_ids(splits_of(videos, torch.tensor([0]), torch.tensor([1]), torch.tensor([2])), tmp_path)
    (tmp_path / "train.txt").write_text("v0é\nnobody\n", "utf-8")
    with pytest.raises(
        DataError, match=r"train.txt: 1 of its 2 ids are no video here, 'nobody' first"
    ):
        load_ids(videos.ids, tmp_path)


def test_a_missing_list_of_ids_is_named(videos: ShardVideos, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train.txt: this list of ids cannot be read"):
        load_ids(videos.ids, tmp_path)


def test_an_empty_split_is_refused(videos: ShardVideos) -> None:
    with pytest.raises(DataError, match="the validation split has no video"):
        splits_of(videos, torch.arange(5), torch.arange(0), torch.arange(5, 9))


def test_splits_that_overlap_are_refused(videos: ShardVideos) -> None:
    with pytest.raises(DataError, match="video 'v4é' is in more than one split"):
        splits_of(videos, torch.arange(5), torch.tensor([4, 5]), torch.arange(6, 9))


def test_ids_are_a_sequence_of_text() -> None:
    ids = Ids.of(["a", "", "née", "a", "née"])
    assert list(ids) == ["a", "", "née", "a", "née"]
    assert (ids[-1], list(ids[1:3]), len(ids)) == ("née", ["", "née"], 5)
    assert ids.repeated().tolist() == [3, 4]
    with pytest.raises(IndexError):
        ids[5]
