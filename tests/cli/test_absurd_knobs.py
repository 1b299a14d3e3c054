"""Invalid knobs of data sets give one clear error before anything is trained or written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distillbench.data import Video, write_shard

Command = Callable[..., tuple[int, str, str]]

HUGE = "9" * 400
DIGITS = ["train=30", "validation=10", "test=10"]
SYNTHETIC = ["videos=60", "rgb=4", "audio=2", "longest=5"]
SHARED = [
    ("fraction=nan", "knob 'fraction' takes float"),
    ("fraction=-0.1", "a training fraction of -0.1 was requested"),
    ("fraction=1.5", "a training fraction of 1.5 was requested"),
    ("validation_share=nan", "knob 'validation_share' takes float"),
    ("validation_share=-inf", "that is finite, found '-inf'"),
    ("test_share=inf", "that is finite, found 'inf'"),
    ("test_share=1", "and 1.0 (test) leave nothing to train on"),
]
CLASSES = [
    ("classes=-1", "classes is -1"),
    ("classes=0", "classes is 0"),
    (f"classes={HUGE}", "of at most 64 bits"),
    ("classes=999999999", "classes is 999999999"),
]


def numbers(*names: str) -> list[tuple[str, str]]:
    """Lists invalid values of knobs that count something, and the error of each."""
    wrong = [
        ("-1", "{} is -1"),
        ("9" * 18, "999999"),
        ("9" * 30, "knob '{}' takes int of at most 64 bits"),
        (HUGE, "knob '{}' takes int"),
    ]
    fits = ("seed", "9" * 18)  # a seed may be that large
    return [
        (f"{n}={value}", why.format(n)) for n in names for value, why in wrong if (n, value) != fits
    ]


ABSURD = {
    "digits": [
        *numbers(
            "train", "validation", "test", "frames", "fewest_shots", "most_shots", "jitter", "seed"
        ),
        ("train=0", "digits: train is 0 and must be at least 1"),
        ("train=1000000", "1,000,000 videos of 60 frames"),
        ("fewest_shots=0", "fewest_shots is 0 and must be at least 1"),
        ("fewest_shots=10", "fewest_shots is 10 and must be at most 9"),
        ("most_shots=61", "most_shots is 61 and must be at most 60"),
        ("noise=nan", "knob 'noise' takes float, found 'nan'"),
        ("noise=inf", "that is finite"),
        ("noise=1e300", "noise is 1e+300"),
        ("noise=-1", "noise is -1.0"),
    ],
    "synthetic": [
        *SHARED,
        *CLASSES,
        *numbers("videos", "rgb", "audio", "most_labels", "shortest", "longest", "shards", "seed"),
        ("shards=61", "shards is 61 and must be at most 60"),
        ("shortest=6", "longest is 5 and must be at least 6"),
        ("noise=nan", "knob 'noise' takes float, found 'nan'"),
        ("noise=inf", "that is finite"),
        ("noise=-1", "noise is -1.0"),
    ],
    "reels": [
        *SHARED[:3],
        *numbers("train", "validation", "test", "fewest", "most", "seed"),
        ("train=1000000", "1,000,000 reels of 30 clips"),
        ("fewest=31", "fewest is 31 and must be at most 30"),
        ("features=", "must name at least one list"),
    ],
    "spoken-digits": [
        *numbers(
            "train",
            "validation",
            "test",
            "fewest",
            "most",
            "shortest_pause",
            "longest_pause",
            "seed",
        ),
        ("test=0", "spoken-digits: test is 0 and must be at least 1"),
        ("most=1", "fewest is 2 and must be at most 1"),
        ("most=10000", "3,000 strings of 10,000 digits"),
        ("shortest_pause=16", "shortest_pause is 16 and must be at most 15"),
        ("split_by=digit", "knob 'split_by' takes recording | speaker"),
    ],
    "npy": [
        *SHARED,
        *CLASSES,
        ("scale=0", "arrays: scale is 0.0 and must be at least"),
        ("scale=nan", "knob 'scale' takes float"),
        ("offset=1e30", "arrays: offset is 1e+30"),
        ("split_by=date", "knob 'split_by' takes auto | lists"),
        ("split_by=column", "data.split_by is column, and there is none 'split'"),
        ("labels=none.csv", "none.csv: this table of labels cannot be read"),
        ("labels=none.txt", "a table of labels is .csv or .parquet"),
        ("vocabulary=none.txt", "none.txt: these names of classes cannot be read"),
        ("ids=nowhere", "train.txt: this list of ids cannot be read"),
        ("dir=nowhere", "nowhere: there is no such file or folder"),
    ],
    "npy-single-label": [*SHARED, *CLASSES],
    "audioset": [*SHARED, *CLASSES],
    "yt8m": [*SHARED, *CLASSES],
}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    names = ("rgb", "audio", "audio_embedding")
    frames = {name: np.ones((2, 4), np.uint8) for name in names}
    write_shard(
        folder / "a.tfrecord", [Video(f"v{number}", [number % 3], frames) for number in range(60)]
    )
    for number in range(60):
        np.save(folder / f"v{number}.npy", frames["rgb"])
    rows = [f"v{number},{number % 3}" for number in range(60)]
    (folder / "labels.csv").write_text("\n".join(["id,labels", *rows]))
    return folder


@pytest.mark.parametrize(
    ("data", "knob", "why"), [(data, *each) for data, some in ABSURD.items() for each in some]
)
def test_an_absurd_knob_is_one_clear_error_and_leaves_nothing(
    command: Command,
    shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: str,
    knob: str,
    why: str,
) -> None:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path / "cache"))
    valid = {"digits": DIGITS, "synthetic": SYNTHETIC}.get(data, [f"dir={shards}"])
    arguments = [
        "--data",
        data,
        *(word for each in (*valid, knob) for word in ("--set", f"data.{each}")),
    ]
    code, out, err = command("data", "split", *arguments, "--to", tmp_path / "ids")
    error = " ".join(err.partition("error:")[2].split())
    assert code == 2, err
    assert why in error
    assert len(error) < 300
    assert "Traceback" not in err + out
    assert not list(tmp_path.rglob("*"))


def test_a_run_with_an_absurd_knob_trains_nothing(
    command: Command, tiny: list[str], tmp_path: Path
) -> None:
    code, _, err = command(
        "run", *tiny, "--set", "data.noise=nan", "--results", tmp_path / "results"
    )
    assert code == 2, err
    assert "knob 'noise' takes float, found 'nan'" in " ".join(err.split())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
