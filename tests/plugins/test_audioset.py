from __future__ import annotations

from pathlib import Path

import pytest
import torch
from running import built

from distillbench.registry.knobs import knobs_of
from distillbench_plugins.datasets.audioset import AudioSet
from distillbench_plugins.datasets.yt8m import YouTube8M


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path))


def test_all_clips_are_opened_and_shared_out(real_data: Path) -> None:
    splits = built(AudioSet, dir=str(real_data / "audioset")).splits()
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 22160
    assert splits.train.labels.count == 527
    assert splits.train.features == {"audio_embedding": 128}
    assert splits.train.class_names is not None
    assert splits.train.class_names[0] == "Speech"
    assert len(splits.test) == pytest.approx(2216, rel=0.05)
    assert splits.train.lengths.max() == 10
    assert splits.test.labels.dense(torch.arange(len(splits.test))).sum(1).mean() == pytest.approx(
        2.39, abs=0.1
    )


def test_two_opens_agree_and_another_seed_splits_otherwise(real_data: Path) -> None:
    folder = str(real_data / "audioset")
    one, same, other = (built(AudioSet, dir=folder, split_seed=seed).splits() for seed in (0, 0, 1))
    assert one.test.fingerprint == same.test.fingerprint != other.test.fingerprint


def test_all_data_sets_of_shards_have_the_same_knobs_with_defaults_of_their_own() -> None:
    ours, theirs = ({knob.name: knob for knob in knobs_of(cls)} for cls in (AudioSet, YouTube8M))
    assert list(ours) == list(theirs)
    assert {name for name in ours if ours[name].default != theirs[name].default} == {
        "features",
        "validation_share",
    }
