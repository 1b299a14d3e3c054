"""Strings of spoken digits: made-up sounds in a file as documented, and the real recordings."""

from __future__ import annotations

import cmath
import io
import math
import re
import wave
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from distillbench.errors import DataError
from distillbench.interfaces import NO_FRAME, Splits, Videos
from distillbench_plugins.datasets.spoken_digits import (
    BANDS,
    FLOOR,
    HOP,
    POINTS,
    RATE,
    WINDOW,
    SpokenDigits,
    log_mel,
    mel_bands,
)

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("train", "validation", "test")
SIZES = {"train": 40, "validation": 10, "test": 20}
SPEAKERS = ("ann", "bob", "cy", "dee", "eve", "fay")


def sounds(takes: int = 3) -> dict[str, NDArray[Any]]:
    """Noise as documented: recordings of every digit by every speaker, 1 to 12 frames each."""
    generator = np.random.default_rng(7)
    said = [(d, s, t) for d in range(10) for s in SPEAKERS for t in range(takes)]
    lengths = generator.integers(WINDOW, WINDOW + 11 * HOP + 50, len(said))
    samples = generator.integers(-9000, 9000, lengths.sum()).astype(np.int16)
    digit, speaker, take = (np.array(each) for each in zip(*said, strict=True))
    offsets = np.concatenate([[0], lengths.cumsum()])
    return {
        "samples": samples,
        "offsets": offsets,
        "digit": digit,
        "speaker": speaker,
        "take": take,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("speech")
    np.savez(folder / "fsdd.npz", **sounds())
    return str(folder)


def opened(folder: str, **knobs: Any) -> Splits:
    return SpokenDigits(**{"dir": folder, **SIZES, **knobs}).splits()


def whole(videos: Videos, video: int) -> torch.Tensor:
    return videos.read(torch.tensor([video]), torch.arange(int(videos.lengths[video]))[None])[0]


def stored(samples: NDArray[np.int16], videos: Videos) -> torch.Tensor:
    """The bytes whose decoded value is nearest to that of the frames."""
    values = (log_mel(samples / 32768) + 20) / 30
    codec = videos.codec
    return torch.from_numpy(((values - codec.offset) / codec.scale).round().astype(np.uint8))


def without_pauses(folder: str, **knobs: Any) -> Splits:
    return opened(folder, shortest_pause=0, longest_pause=0, **knobs)


def said_in(string: torch.Tensor, frames: list[torch.Tensor]) -> list[int]:
    """The recordings that a string without pauses is made of, found by their frames alone."""
    for number, each in enumerate(frames):
        if len(each) <= len(string) and torch.equal(string[: len(each)], each):
            rest = said_in(string[len(each) :], frames)
            if rest or len(each) == len(string):
                return [number, *rest]
    return []


def recordings_of(folder: str, splits: Splits) -> list[list[list[int]]]:
    """The numbers of the recordings of every string of each split."""
    held = sounds()
    frames = [
        stored(held["samples"][start:end], splits.train) for start, end in pairwise(held["offsets"])
    ]
    every = (splits.train, splits.validation, splits.test)
    return [[said_in(whole(made, v), frames) for v in range(len(made))] for made in every]


def test_the_command_line_shows_what_is_in_it(
    folder: str, command: Callable[..., tuple[int, str, str]]
) -> None:
    sizes = [f"--set=data.{name}={size}" for name, size in SIZES.items()]
    code, out, err = command("data", "inspect", folder, "--data", "spoken-digits", *sizes)
    assert code == 0, err
    assert "log_mel 64" in out


def test_a_string_is_recordings_and_its_labels_are_the_digits_said(folder: str) -> None:
    splits, digits = without_pauses(folder), sounds()["digit"]
    for made, strings in zip(
        (splits.train, splits.validation, splits.test), recordings_of(folder, splits), strict=True
    ):
        dense = made.labels.dense(torch.arange(len(made)))
        for labels, said in zip(dense, strings, strict=True):
            assert 2 <= len(said) <= 6
            assert labels.nonzero().flatten().tolist() == sorted(set(digits[said].tolist()))


def test_no_recording_is_in_two_splits(folder: str) -> None:
    strings = recordings_of(folder, without_pauses(folder))
    used = [{number for said in split for number in said} for split in strings]
    assert not used[0] & used[1]
    assert not used[0] & used[2]
    assert not used[1] & used[2]


def test_by_speaker_no_speaker_is_in_two_splits(folder: str) -> None:
    strings = recordings_of(folder, without_pauses(folder, split_by="speaker"))
    speakers = sounds()["speaker"]
    used = [{str(speakers[number]) for said in split for number in said} for split in strings]
    assert [len(each) for each in used] == [4, 1, 1]
    assert set.union(*used) == set(SPEAKERS)


def test_another_seed_holds_out_other_speakers(folder: str) -> None:
    speakers = sounds()["speaker"]
    tested = {
        str(
            speakers[
                recordings_of(folder, without_pauses(folder, seed=seed, split_by="speaker"))[2][0][
                    0
                ]
            ]
        )
        for seed in range(5)
    }
    assert len(tested) > 1


def test_pauses_are_as_long_as_asked_and_quiet(folder: str) -> None:
    short, long = (
        opened(folder, fewest=3, most=3, shortest_pause=pause, longest_pause=pause)
        for pause in (0, 10)
    )
    assert torch.equal(long.train.lengths, short.train.lengths + 40)  # 4 pauses for 3 digits
    for string in range(5):
        spoken, paused = whole(short.train, string), whole(long.train, string)
        assert paused[:10].max() < spoken.min()
        assert paused[-10:].max() < spoken.min()
        assert paused.min() > 0
        loud = paused[paused.float().mean(1) > spoken.min()]
        assert torch.equal(loud, spoken)


def test_the_pauses_of_two_splits_are_other_noise(folder: str) -> None:
    splits = opened(folder, shortest_pause=100, longest_pause=100)
    quiet = [
        {bytes(frame.numpy()) for frame in whole(made, 0)[:100]}
        for made in (splits.train, splits.validation, splits.test)
    ]
    assert not quiet[0] & quiet[1]
    assert not quiet[0] & quiet[2]


def test_two_opens_agree_and_another_seed_does_not(folder: str) -> None:
    first, again, other = (opened(folder, seed=seed) for seed in (0, 0, 1))
    for name in NAMES:
        prints = [getattr(each, name).fingerprint for each in (first, again, other)]
        assert prints[0] == prints[1] != prints[2]
    assert torch.equal(whole(first.test, 3), whole(again.test, 3))


def test_another_file_of_the_same_name_is_other_data(tmp_path: Path) -> None:
    held = sounds()
    np.savez(tmp_path / "fsdd.npz", **held)
    before = opened(str(tmp_path)).train.fingerprint
    held["samples"] = held["samples"] // 2
    np.savez_compressed(tmp_path / "fsdd.npz", **held)
    assert opened(str(tmp_path)).train.fingerprint != before


def test_fewer_strings_are_the_first_of_more(folder: str) -> None:
    fewer, more = opened(folder, train=7).train, opened(folder).train
    assert list(fewer.ids) == list(more.ids)[:7] == [f"train-{number:05d}" for number in range(7)]
    assert all(torch.equal(whole(fewer, string), whole(more, string)) for string in range(7))


def test_a_smaller_fraction_is_within_a_larger_one(folder: str) -> None:
    every, half, fifth = (opened(folder, fraction=share) for share in (1.0, 0.5, 0.2))
    assert set(fifth.train.ids) < set(half.train.ids) < set(every.train.ids)
    assert half.test.fingerprint == every.test.fingerprint
    with pytest.raises(DataError, match="a fraction of 1e-09 of 40 training strings is none"):
        opened(folder, fraction=1e-9)


def test_only_the_frames_asked_for_are_read_into_the_buffer(folder: str) -> None:
    videos = opened(folder).train
    last = int(videos.lengths[3]) - 1
    index = torch.tensor([[0, last, NO_FRAME]])
    out = torch.full((1, 3, BANDS), 9, dtype=torch.uint8)
    assert videos.read(torch.tensor([3]), index, out) is out
    assert torch.equal(out[0, :2], whole(videos, 3)[[0, last]])
    assert not out[0, 2].any()


@pytest.mark.parametrize(
    ("knobs", "why"),
    [
        ({"train": 0}, "train is 0 and must be at least 1"),
        ({"fewest": 7}, "fewest is 7 and must be at most 6"),
        ({"fewest": 0}, "fewest is 0 and must be at least 1"),
        ({"shortest_pause": 16}, "shortest_pause is 16 and must be at most 15"),
        ({"longest_pause": 1001}, "longest_pause is 1001 and must be at most 1,000"),
        ({"test": 1_000_000, "most": 11}, "1,000,000 strings of 11 digits do not fit into memory"),
        ({"fraction": 1.5}, "a training fraction of 1.5 was requested"),
    ],
)
def test_knobs_that_make_no_strings_are_refused(
    folder: str, knobs: dict[str, Any], why: str
) -> None:
    with pytest.raises(DataError, match=why):
        opened(folder, **knobs)


def test_a_file_that_is_not_there_is_said_to_be_found_where_it_is(tmp_path: Path) -> None:
    for folder, why in (("", "no data was named"), (str(tmp_path), "fsdd.npz: No such file")):
        with pytest.raises(DataError, match=why) as caught:
            SpokenDigits(dir=folder).splits()
        assert "https://github.com/Jakobovski/free-spoken-digit-dataset" in str(caught.value)
        assert "--data-dir (data.dir)" in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"samples": np.zeros(4)}, "samples is float64 of the shape \\(4,\\)"),
        ({"samples": np.zeros((2, 2), np.int16)}, "samples is int16 of the shape \\(2, 2\\)"),
        ({"samples": np.zeros(4, np.int32)}, "samples are int32 and must be int16"),
        (
            {"offsets": np.array([0])},
            "one more of offsets than of digit, speaker and take; found 1",
        ),
        ({"take": np.arange(3)}, "found 181 of offsets, 180 of digit, 180 of speaker, 3 of take"),
        ({"digit": np.arange(180)}, "digit is 0 to 179 and must be 0 to 9"),
        ({"offsets": np.arange(181)}, "offsets must ascend from 0 to \\d+, how many samples"),
        ({"speaker": np.array([object()] * 180)}, "cannot be read: Object arrays cannot be loaded"),
    ],
)
def test_a_file_of_another_layout_is_refused_with_what_is_wrong(
    tmp_path: Path, changed: dict[str, NDArray[Any]], why: str
) -> None:
    np.savez(tmp_path / "fsdd.npz", **{**sounds(), **changed})
    with pytest.raises(DataError, match=why):
        opened(str(tmp_path))


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(3))
    return file.getvalue()


@pytest.mark.parametrize("held", [b"", b"no zip", b"PK\x03\x04" + bytes(99), npy()])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, held: bytes) -> None:
    (tmp_path / "fsdd.npz").write_bytes(held)
    with pytest.raises(DataError, match="cannot be read"):
        opened(str(tmp_path))


def test_a_file_without_one_of_its_arrays_or_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fsdd.npz"
    np.savez(path, **{name: each for name, each in sounds().items() if name != "take"})
    with pytest.raises(DataError, match="take"):
        opened(str(tmp_path))
    np.savez_compressed(path, **sounds())
    whole_file = bytearray(path.read_bytes())
    whole_file[2000:4000] = bytes(2000)
    path.write_bytes(whole_file)
    with pytest.raises(DataError, match="cannot be read"):
        opened(str(tmp_path))


def test_too_few_speakers_or_recordings_to_share_out_are_refused(tmp_path: Path) -> None:
    held = sounds()
    held["speaker"] = np.array(["ann", "bob"])[np.arange(180) % 2]
    np.savez(tmp_path / "fsdd.npz", **held)
    with pytest.raises(DataError, match="2 speakers cannot be shared out to three splits"):
        opened(str(tmp_path), split_by="speaker")
    one = {name: each[:1] for name, each in held.items()} | {"offsets": np.array([0, 900])}
    np.savez(tmp_path / "fsdd.npz", **{**one, "samples": held["samples"][:900]})
    with pytest.raises(DataError, match="split has none of the 1 recordings"):
        opened(str(tmp_path))


def test_the_script_on_the_page_makes_the_file_of_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = sounds(takes=1)
    for number, (start, end) in enumerate(pairwise(held["offsets"])):
        name = "_".join(str(held[part][number]) for part in ("digit", "speaker", "take"))
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(held["samples"][start:end].astype("<i2").tobytes())
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(script, {})
    with np.load(tmp_path / "fsdd.npz") as made:
        assert {name: made[name].tolist() for name in made} == {
            name: each.tolist() for name, each in held.items()
        }
    assert len(opened(str(tmp_path)).train) == 40


def test_log_mel_is_what_the_formulas_say() -> None:
    samples = np.random.default_rng(3).uniform(-1, 1, WINDOW + 2 * HOP + 30)
    found = log_mel(samples)
    assert found.shape == (3, BANDS)

    def hertz(band: int) -> float:
        top = 2595 * math.log10(1 + 4000 / 700)
        return 700 * (10 ** (top * band / (BANDS + 1) / 2595) - 1)

    for frame, row in enumerate(found):
        seen = [
            samples[frame * HOP + n] * (0.5 - 0.5 * math.cos(2 * math.pi * n / (WINDOW - 1)))
            for n in range(WINDOW)
        ]
        powers = [
            abs(sum(x * cmath.exp(-2j * math.pi * n * point / 256) for n, x in enumerate(seen)))
            ** 2
            for point in range(129)
        ]
        for band, energy in enumerate(row):
            low, tip, high = (hertz(band + at) for at in range(3))
            total = FLOOR
            for point, power in enumerate(powers):
                f = point * 8000 / 256
                weight = (f - low) / (tip - low) if f <= tip else (high - f) / (high - tip)
                total += power * max(0.0, weight)
            assert energy == pytest.approx(10 * math.log10(total), abs=1e-9)


@pytest.mark.parametrize("hertz", [300, 1000, 2500, 3700])
def test_a_tone_is_loudest_in_its_own_band_or_the_one_beside_it(hertz: int) -> None:
    tone = np.sin(2 * np.pi * hertz / RATE * np.arange(RATE // 10))
    own = (BANDS + 1) * math.log10(1 + hertz / 700) / math.log10(1 + 4000 / 700) - 1
    found = log_mel(tone)
    assert (abs(found.argmax(1) - own) < 1.5).all()
    assert 25 < found.max() < 40


def test_every_band_hears_something_and_all_frequencies_but_the_ends_are_heard() -> None:
    bands = mel_bands()
    assert bands.shape == (BANDS, POINTS // 2 + 1)
    assert (bands.max(1) > 0.2).all()
    assert (bands.sum(0)[1:-1] > 0).all()
    assert bands.min() == 0
    assert bands.max() <= 1


def test_silence_is_the_floor_and_a_short_sound_one_frame() -> None:
    assert log_mel(np.zeros(WINDOW)) == pytest.approx(np.full((1, BANDS), -70))
    assert log_mel(np.ones(10)).shape == (1, BANDS)


def test_real_strings_have_100_to_300_frames_and_fit_into_bytes(real_data: Path) -> None:
    splits = SpokenDigits(dir=str(real_data / "speech")).splits()
    assert [len(getattr(splits, name)) for name in NAMES] == [3000, 500, 1000]
    lengths = splits.train.lengths.double()
    assert lengths.mean() == pytest.approx(205, abs=5)
    assert 80 < lengths.quantile(0.05) < lengths.quantile(0.95) < 340
    assert splits.train.class_names == [str(digit) for digit in range(10)]
    assert splits.train.labels.dense(torch.arange(3000)).sum(1).mean() == pytest.approx(
        3.4, abs=0.1
    )
    shown = torch.cat([whole(splits.train, string) for string in range(200)])
    assert shown.min() > 0  # nothing is clipped
    assert shown.max() < 255
    values = shown.float() * splits.train.codec.scale + splits.train.codec.offset
    assert abs(float(values.mean())) < 1
    assert 0.3 < float(values.std()) < 1


def test_real_speakers_are_held_out_whole(real_data: Path) -> None:
    splits = SpokenDigits(dir=str(real_data / "speech"), split_by="speaker").splits()
    assert len({getattr(splits, name).fingerprint for name in NAMES}) == 3
