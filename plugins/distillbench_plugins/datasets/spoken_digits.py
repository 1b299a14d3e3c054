"""Strings of spoken digits: log-mel frames of the Free Spoken Digit Dataset's recordings."""

from __future__ import annotations

import functools
import hashlib
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench import hookimpl
from distillbench.data import (
    LARGEST_SEED,
    JoinedVideos,
    Subset,
    draw_in_rounds,
    nested_fraction,
    require_bounds,
    split_by_hash,
)
from distillbench.errors import DataError
from distillbench.interfaces import Codec, DataSet, Labels, Splits, Videos

SplitBy = Literal["recording", "speaker"]

RATE, WINDOW, HOP, POINTS, BANDS = 8000, 200, 80, 256, 64
"""Samples a second, samples a frame, samples from frame to frame, points of the Fourier transform,
mel bands from 0 to 4 kHz."""
FLOOR = 1e-7
"""What is added to every energy before its logarithm, a full-scale sample being 1."""

_CLASSES = 10
_LOW, _HIGH, _MIDDLE, _UNIT = -80.0, 40.0, -20.0, 30.0  # dB; frames hold (dB - middle) / unit
_FULL = 32768.0
_QUIET, _QUIET_FRAMES = 8.0, 1000  # deviation of the noise between digits, in steps of a sample
_VALIDATION_SHARE, _TEST_SHARE = 0.15, 0.25
_MOST_STRINGS, _MOST_DIGITS, _MOST_DIGITS_OF_ALL = 1_000_000, 10_000, 10_000_000
_FILE = "fsdd.npz"
_UNREADABLE = (
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error),
    *(ValueError, KeyError, TypeError, MemoryError),  # no archive of arrays, or absurd ones
)
_WHERE = (
    f"--data-dir (data.dir) names the folder of {_FILE}, which docs/methods.md says how to make of"
    " https://github.com/Jakobovski/free-spoken-digit-dataset"
)


class SpokenDigits(DataSet):
    """Strings of 2 to 6 spoken digits as log-mel frames, about 100 to 300 a string.

    A string's labels are the digits said.

    The digits are the Free Spoken Digit Dataset's recordings, cut out of real speech by six
    speakers at 8 kHz. A frame has 64 mel bands of 25 ms, 10 ms after the one before, in dB. Before
    and after every digit there is a pause of random length, with faint noise. Recordings are shared
    out first and strings are then drawn within a split, so that no recording is in two; a recording
    is in another string only after all others of its split were in one. The recipe trains until
    validation is no longer better; its learning rate is the best of ten trials of a student alone,
    rounded (benchmarks/study/spoken_digits_recipe.toml).

    fsdd.npz holds R recordings of int16 at 8 kHz as numpy arrays: `samples`, all end to end;
    `offsets` (R + 1), where each begins, and the end of the last; `digit`, `speaker` (text) and
    `take` (R).

    Knobs:
        dir: folder of fsdd.npz, all recordings in one file.
        train: training strings.
        validation: validation strings.
        test: test strings.
        fewest: the fewest digits a string may have.
        most: the most digits a string may have.
        shortest_pause: the fewest frames of a pause, of 10 ms each.
        longest_pause: the most frames of a pause.
        split_by: recording, 60 % of the recordings to train on, 15 % to validate, 25 % to test;
            speaker, no speaker is in two splits: of six, one to validate and one to test.
        fraction: how much of the training strings to use; a smaller part is always within a larger
            one.
        seed: what recordings are shared out and strings are drawn with.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"train": 60, "validation": 20, "test": 30}

    recipe: ClassVar[Mapping[str, object]] = {
        "teacher.cell_size": 64,
        "student.cell_size": 64,
        "training.epochs": 120,
        "training.patience": 4,
        "training.batch_size": 64,
        "training.learning_rate": 0.01,
        "training.decay": 0.85,
        "training.decay_examples": 20_000,
        "k": 10,
    }

    def __init__(
        self,
        *,
        dir: str = "",
        train: int = 3000,
        validation: int = 500,
        test: int = 1000,
        fewest: int = 2,
        most: int = 6,
        shortest_pause: int = 0,
        longest_pause: int = 15,
        split_by: SplitBy = "recording",
        fraction: float = 1.0,
        seed: int = 0,
    ) -> None:
        self._dir, self._fewest, self._most = dir, fewest, most
        self._sizes = {"train": train, "validation": validation, "test": test}
        self._pauses = shortest_pause, longest_pause
        self._split_by, self._fraction, self._seed = split_by, fraction, seed

    def splits(self) -> Splits:
        """Reads the recordings and draws the strings; the same knobs give the same ones."""
        self._check()
        every = _opened(self._dir)
        parts = _by_speaker if self._split_by == "speaker" else _by_recording
        made = {
            name: self._strings(name, number, every, part)
            for number, (name, part) in enumerate(
                zip(self._sizes, parts(every, self._seed), strict=True), start=1
            )
        }
        train = made["train"]
        kept = nested_fraction(train.ids, torch.arange(len(train)), self._fraction, seed=self._seed)
        if not len(kept):
            raise DataError(
                f"spoken-digits: a fraction of {self._fraction} of {len(train):,} training strings"
                " is none; give a larger fraction or train"
            )
        return Splits(Subset(train, kept), made["validation"], made["test"])

    def _check(self) -> None:
        shortest, longest = self._pauses
        require_bounds(
            "spoken-digits",
            {
                **{name: (size, 1, _MOST_STRINGS) for name, size in self._sizes.items()},
                "most": (self._most, 1, _MOST_DIGITS),
                "fewest": (self._fewest, 1, self._most),
                "longest_pause": (longest, 0, _QUIET_FRAMES),
                "shortest_pause": (shortest, 0, longest),
                "seed": (self._seed, 0, LARGEST_SEED),
            },
        )
        largest = max(self._sizes.values())
        if largest * self._most > _MOST_DIGITS_OF_ALL:
            raise DataError(
                f"spoken-digits: {largest:,} strings of {self._most:,} digits do not fit into"
                f" memory; a split has {_MOST_DIGITS_OF_ALL:,} digits at most"
            )

    def _strings(
        self, name: str, number: int, every: _Recordings, part: NDArray[np.int64]
    ) -> JoinedVideos:
        if not len(part):
            raise DataError(
                f"spoken-digits: the {name} split has none of the {len(every.digits)} recordings;"
                " give more of them"
            )
        # One generator each: fewer strings are the first of more.
        sizing, drawing, pausing, noising = (
            np.random.default_rng([self._seed, number, of]) for of in range(4)
        )
        sizes = sizing.integers(self._fewest, self._most + 1, self._sizes[name])
        ids = [f"{name}-{string:05d}" for string in range(len(sizes))]
        offsets = np.concatenate([[0], (2 * sizes + 1).cumsum()])  # pause, digit, pause, ...
        place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], 2 * sizes + 1)
        said = place % 2 == 1
        source = _Sounds(every, part, _quiet(noising))
        pieces = np.full(len(place), len(part))
        pieces[said] = draw_in_rounds(len(part), int(said.sum()), drawing)
        pauses = pausing.integers(
            [self._pauses[0], 0], [self._pauses[1] + 1, _QUIET_FRAMES], (len(place), 2)
        )
        counts = np.where(said, source.lengths.numpy()[pieces], pauses[:, 0])
        firsts = np.where(said, 0, np.minimum(pauses[:, 1], _QUIET_FRAMES - counts))
        return JoinedVideos(source, ids, *map(torch.from_numpy, (offsets, pieces, firsts, counts)))


@dataclass(frozen=True)
class _Recordings:
    """All recordings: R of them.

    frames: (T, BANDS) uint8, of all end to end.
    ends: (R,) where each recording's frames end.
    digits: (R,) what is said.
    speakers: (R,) names.
    takes: (R,) numbers, which tell a speaker's recordings of a digit apart.
    """

    frames: NDArray[np.uint8]
    ends: NDArray[np.int64]
    digits: NDArray[np.int64]
    speakers: NDArray[np.str_]
    takes: NDArray[np.int64]


class _Sounds(Videos):
    """Some recordings, and behind them the quiet, a video without a label."""

    def __init__(
        self, every: _Recordings, part: NDArray[np.int64], quiet: NDArray[np.uint8]
    ) -> None:
        starts = np.concatenate([[0], every.ends])
        each = [every.frames[starts[number] : starts[number + 1]] for number in part]
        self._frames = torch.from_numpy(np.concatenate([*each, quiet]))
        self.ids = [*(_id(every, number) for number in part), "quiet"]
        self.lengths = torch.tensor([*map(len, each), len(quiet)])
        self._starts = self.lengths.cumsum(0) - self.lengths
        digits = torch.from_numpy(every.digits[part])
        offsets = torch.cat([torch.arange(len(part) + 1), torch.tensor([len(part)])])
        self.labels = Labels(offsets, digits, _CLASSES)
        self.features = {"log_mel": BANDS}
        self.class_names = [str(digit) for digit in range(_CLASSES)]
        scale = (_HIGH - _LOW) / 255 / _UNIT
        self.codec = Codec(scale=scale, offset=(_LOW - _MIDDLE) / _UNIT, normalise="none")
        digest = hashlib.sha256(self._frames.numpy().tobytes())
        digest.update(repr((self.ids, self.lengths.tolist(), self.codec)).encode())
        self.fingerprint = digest.hexdigest()[:32]

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        read = self._frames[self._starts[videos][:, None] + frames.clamp_min(0)]
        read[frames < 0] = 0
        return read if out is None else out.copy_(read)


def log_mel(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the energy of every mel band in every frame in dB, (T, BANDS).

    samples: (N,), of which one at full scale is 1; fewer than a frame's are filled up with zeros.
    """
    padded = np.pad(samples, (0, max(0, WINDOW - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    spectra = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), POINTS)) ** 2
    energies: NDArray[np.float64] = 10 * np.log10(spectra @ mel_bands().T + FLOOR)
    return energies


@functools.cache
def mel_bands() -> NDArray[np.float64]:
    """Returns each band's weight of every frequency of the transform, (BANDS, POINTS // 2 + 1).

    They are triangles whose tips have the weight 1 and are equally far apart on the mel scale,
    2595 log10(1 + f / 700).
    """
    tips = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), BANDS + 2)
    low, tip, high = (
        (700 * (10 ** (tips / 2595) - 1))[start : start + BANDS, None] for start in range(3)
    )
    hertz = np.arange(POINTS // 2 + 1) * (RATE / POINTS)
    return np.minimum((hertz - low) / (tip - low), (high - hertz) / (high - tip)).clip(0)


def _stored(energies: NDArray[np.float64]) -> NDArray[np.uint8]:
    shares = (energies.clip(_LOW, _HIGH) - _LOW) / (_HIGH - _LOW)
    return (shares * 255).round().astype(np.uint8)


def _quiet(generator: np.random.Generator) -> NDArray[np.uint8]:
    samples = generator.standard_normal(WINDOW + HOP * (_QUIET_FRAMES - 1))
    return _stored(log_mel(samples * (_QUIET / _FULL)))


def _by_recording(every: _Recordings, seed: int) -> tuple[NDArray[np.int64], ...]:
    ids = [_id(every, number) for number in range(len(every.digits))]
    parts = split_by_hash(ids, _VALIDATION_SHARE, _TEST_SHARE, seed=seed)
    return tuple(part.numpy() for part in parts)


def _by_speaker(every: _Recordings, seed: int) -> tuple[NDArray[np.int64], ...]:
    names = np.unique(every.speakers)
    if len(names) < 3:
        raise DataError(
            f"spoken-digits: {len(names)} speakers cannot be shared out to three splits; there must"
            " be at least 3, or set data.split_by=recording"
        )
    drawn = names[np.random.default_rng([seed, 0]).permutation(len(names))]
    held = max(1, len(names) // 6)
    parts = drawn[2 * held :], drawn[:held], drawn[held : 2 * held]
    return tuple(np.flatnonzero(np.isin(every.speakers, part)) for part in parts)


def _id(every: _Recordings, number: int) -> str:
    """Returns the name of a recording's file in the original, without its ending."""
    return f"{every.digits[number]}_{every.speakers[number]}_{every.takes[number]}"


def _opened(folder: str) -> _Recordings:
    if not folder:
        raise DataError(f"spoken-digits: no data was named; {_WHERE}")
    path = Path(os.path.expanduser(folder)) / _FILE
    try:
        about = path.stat()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}; {_WHERE}") from error
    return _read(path, about.st_size, about.st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _read(path: Path, size: int, changed: int) -> _Recordings:
    """Reads all recordings; those of one file are kept, as long as its size and time stay."""
    try:
        # Opened here, since numpy leaves what is no archive open.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            held = {name: file[name] for name in ("samples", "offsets", "digit", "speaker", "take")}
    except _UNREADABLE as error:
        raise DataError(f"{path}: cannot be read: {error}; {_WHERE}") from error
    wrong = _wrong(held)
    if wrong:
        raise DataError(f"{path}: {wrong}; {_WHERE}")
    frames = [
        _stored(log_mel(held["samples"][start:end] / _FULL))
        for start, end in pairwise(held["offsets"].tolist())
    ]
    return _Recordings(
        np.concatenate(frames),
        np.cumsum([len(each) for each in frames]),
        held["digit"].astype(np.int64),
        held["speaker"],
        held["take"].astype(np.int64),
    )


def _wrong(held: Mapping[str, NDArray[np.generic]]) -> str:
    """Returns what is wrong with the arrays of a file; nothing where they are as documented."""
    samples, offsets, digits = held["samples"], held["offsets"], held["digit"]
    kinds = {"samples": "i", "offsets": "iu", "digit": "iu", "speaker": "U", "take": "iu"}
    for name, kind in kinds.items():
        if held[name].ndim != 1 or held[name].dtype.kind not in kind:
            return f"{name} is {held[name].dtype} of the shape {held[name].shape}"
    if samples.dtype != np.int16:
        return f"samples are {samples.dtype} and must be int16"
    count = len(offsets) - 1
    if count < 1 or any(len(held[name]) != count for name in ("digit", "speaker", "take")):
        lengths = ", ".join(f"{len(held[name])} of {name}" for name in kinds if name != "samples")
        return f"there must be one more of offsets than of digit, speaker and take; found {lengths}"
    if offsets[0] != 0 or offsets[-1] != len(samples) or (np.diff(offsets) <= 0).any():
        return f"offsets must ascend from 0 to {len(samples)}, how many samples there are"
    if digits.min() < 0 or digits.max() >= _CLASSES:
        return f"digit is {digits.min()} to {digits.max()} and must be 0 to 9"
    return ""


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `spoken-digits`."""
    return {"spoken-digits": SpokenDigits}
