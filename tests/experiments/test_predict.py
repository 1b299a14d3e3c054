"""Files are classified by the frames that the student's selector chooses, and by no others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from encoded import ENCODINGS, Encoding, decoded, encode, painted, shown_at
from grid_backbone import install, numbers_of

import distillbench
from distillbench import Run
from distillbench.errors import ConfigError, DataError
from distillbench.registry.discovery import discover
from distillbench.video.extract import request
from distillbench.video.extraction import Extraction
from distillbench.video.features import EncodedVideo

pytest.importorskip("av")
Command = Callable[..., tuple[int, str, str]]
K = 3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the seven encodings in `clips`, and their features and labels in `features`."""
    folder = tmp_path_factory.mktemp("predict")
    with pytest.MonkeyPatch.context() as patch:
        grid, registry = install(folder / "installed", patch), discover()
        (folder / "clips").mkdir()
        for name, how in ENCODINGS.items():
            encode(folder / "clips" / name.replace(" ", "-"), how)
        made = Extraction.requested(registry, grid, {}, 2.0, "float16")
        wanted = request([folder / "clips"], folder / "features", made, registry)
        assert wanted.make(1, torch.device("cpu"), lambda outcome: None)["made"] == 7
        splits = ["train"] * 4 + ["validation", "test", "test"]
        rows = [
            f"{source.id},{'odd' if number % 2 else 'even'},{split}"
            for number, (source, split) in enumerate(zip(wanted.waiting, splits, strict=True))
        ]
        labels = "id,labels,split\n" + "\n".join(rows) + "\n"
        (folder / "features" / "labels.csv").write_text(labels)
        yield folder


@pytest.fixture
def clips(place: Path) -> Path:
    return place / "clips"


@pytest.fixture
def features(place: Path) -> Path:
    return place / "features"


def trained(features: Path, **how: object) -> Run:
    """Trains for an epoch, or finds that it was done before."""
    settings = {
        "data": "npy-single-label",
        "data.dir": str(features),
        "schedule": "scratch",
        "student": "mean-pool",
        "head": "logistic",
        "training.epochs": 1,
        "k": K,
        "selector": "uniform",
        **how,
    }
    return distillbench.run(settings, results=features.parent / "results", device="cpu")


def test_a_clip_has_the_scores_of_its_features_and_only_k_frames_are_encoded(
    features: Path, clips: Path, command: Command
) -> None:
    run = trained(features)
    of_clips, of_features = (distillbench.predict(run, folder) for folder in (clips, features))
    assert of_clips.ids == of_features.ids
    assert list(of_clips.class_names or ()) == ["even", "odd"]
    assert np.array_equal(of_clips.values, of_features.values)
    assert np.allclose(of_clips.values.sum(1), 1), "a video has one label"
    for cost, path in zip(of_clips.costs, sorted(clips.iterdir()), strict=True):
        every = len(decoded(path))
        assert (cost.encoded, cost.decoded < every) == (K, True)
        assert min(cost.decoding, cost.backbone, cost.student) > 0
    assert {cost.encoded for cost in of_features.costs} == {0}


def test_the_frames_are_those_of_a_full_decode(
    features: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, seen = trained(features, selector="random"), []
    read = EncodedVideo.read

    def reading(self, videos, frames, out=None):
        made = read(self, videos, frames, out)
        seen.append((frames[0].tolist(), numbers_of(made.numpy())))
        return made

    monkeypatch.setattr(EncodedVideo, "read", reading)
    distillbench.predict(run, clips)
    for (frames, numbers), path in zip(seen, sorted(clips.iterdir()), strict=True):
        shown = shown_at(decoded(path), 2)
        assert numbers == [shown[frame] for frame in frames]


def test_a_selector_that_must_see_frames_has_them_decoded(features: Path, clips: Path) -> None:
    run = trained(features, selector="motion")
    scores = distillbench.predict(run, clips / "constant-rate.mp4")
    (cost,) = scores.costs
    assert cost.encoded > K
    assert np.array_equal(
        scores.values, distillbench.predict(run, [features / "constant-rate.npy"]).values
    )


def test_a_learned_selector_pays_for_its_candidates(features: Path, clips: Path) -> None:
    run = trained(features, selector="gumbel", data="npy")
    scores = distillbench.predict(run, [clips / "constant-rate.mp4"])
    (cost,) = scores.costs
    assert (cost.encoded, cost.frames) == (10, 10)
    assert np.allclose(
        scores.values, distillbench.predict(run, [features / "constant-rate.npy"]).values
    )


def test_the_command_prints_classes_and_where_the_time_went(
    features: Path, clips: Path, command: Command
) -> None:
    run = trained(features)
    given = ("predict", run.path, clips / "webm.webm", features / "rotated.npy")
    code, out, err = command(*given)
    assert (code, err) == (0, "")
    assert all(word in out for word in ("even", "odd", "decoding", "backbone", "student"))
    assert "(3 of 10 frames)" in out
    code, out, _ = command(*given, "--top", "1", "--format", "json")
    rows = json.loads(out)
    assert [len(row["classes"]) for row in rows] == [1, 1]
    assert rows[0]["classes"][0].keys() == {"class", "name", "probability"}
    assert rows[1]["cost"]["encoded"] == 3


def test_a_broken_file_costs_itself(
    features: Path, clips: Path, tmp_path: Path, command: Command
) -> None:
    run, clips = trained(features), shutil.copytree(clips, tmp_path / "clips")
    (clips / "broken.mp4").write_bytes(b"no video")
    (clips / "other.npy").write_bytes(b"no array")
    np.save(clips / "wide.npy", np.zeros((3, 5), np.float16))
    np.save(clips / "pickled.npy", np.array([{}]), allow_pickle=True)
    code, out, err = command("predict", run.path, clips)
    assert (code, out.count("decoding")) == (1, 7)
    assert "4 cannot be used" in err
    assert "wide.npy: a frame of it has 5 numbers, and one of the run's data 48" in err
    scores = distillbench.predict(run, clips)
    assert (len(scores.ids), len(scores.unusable)) == (7, 4)
    with pytest.raises(DataError, match="no file can be used"):
        distillbench.predict(run, [clips / "broken.mp4"])


def test_what_made_the_features_must_be_known(features: Path, clips: Path, tmp_path: Path) -> None:
    run = trained(features)
    about = features / "extraction.json"
    hidden = about.rename(tmp_path / "hidden.json")
    with pytest.raises(ConfigError, match="how features are made of videos is not known"):
        distillbench.predict(run, clips)
    hidden.rename(about)
    assert len(distillbench.predict(run, features).ids) == 7
    with pytest.raises(ConfigError, match="there is no such file"):
        distillbench.predict(run, [tmp_path / "nowhere.mp4"])
    with pytest.raises(ConfigError, match="no split is called 'nowhere'"):
        distillbench.predict(run, "nowhere")


def test_a_video_of_one_frame_is_classified(features: Path, tmp_path: Path) -> None:
    path = encode(tmp_path / "one", Encoding(), [painted(1)])
    scores = distillbench.predict(trained(features), path)
    assert (scores.costs[0].frames, scores.costs[0].encoded) == (1, 1)
