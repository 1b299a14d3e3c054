"""How fast is an exported network? `python benchmarks/speed/deployment.py` writes `benchmarks/speed/deployment.csv`.

The paper's hierarchical RNN (1152-wide frames, cell 1024, two layers) at k = 6 and 30 and as the teacher of 300 frames,
from stored frames to the encoding, without a head. The peer is the network in torch, as distillbench runs it. `unrolled`
is the same network as an ONNX graph without LSTM operators: a product for each step; it is measured where it is small.
Each contender has a process of its own, so that none shares threads with another, and one thread; they take turns. What
is compared is the CPU time of that thread, which other programs on the machine disturb least. Needs
`pip install 'distillbench[export]'` and 4 GB.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from distillbench.deployment import deployed, inputs_of, traced
from distillbench.interfaces import Clips, Codec, Encoder
from distillbench.networks import Model
from distillbench_plugins.encoders.hrnn import StudentHRNN, TeacherHRNN
from distillbench_plugins.layers.hierarchical import Settings
from distillbench_plugins.layers.onnx_graphs import onnx_model, quantized, session
from inference import CELL, FRAMES, WIDTH, Passed
from measuring import Row, compared, keep, read


@dataclass(frozen=True)
class Case:
    """What is measured: an encoder of so many frames and cells, one video at once and many."""

    encoder: type[Encoder]
    frames: int
    cells: int = CELL
    many: int = 256
    is_unrolled: bool = False


CASES = {
    "k = 30, cells of 256": Case(StudentHRNN, 30, 256, is_unrolled=True),
    "k = 6": Case(StudentHRNN, 6, is_unrolled=True),
    "k = 30": Case(StudentHRNN, 30),
    "teacher": Case(TeacherHRNN, FRAMES, many=16),
}
REPEATS = {1: 15, 16: 2, 256: 2}


def network(case: str) -> Model:
    torch.manual_seed(0)
    encoder = CASES[case].encoder(WIDTH, settings=Settings(cell_size=CASES[case].cells))
    return Model(encoder, Passed(), Codec(), features={"all": WIDTH}).eval()


def clips(case: str, videos: int) -> Clips:
    k = CASES[case].frames
    frames = torch.randint(0, 256, (videos, k, WIDTH), dtype=torch.uint8)
    return Clips(frames, torch.full((videos,), k), torch.arange(k).repeat(videos, 1), k)


def contender(name: str, case: str, path: Path) -> Callable[[Clips], object]:
    """Returns what runs a contender on clips."""
    if name == "torch fp32":
        return network(case)
    opened = session(path, 1)
    names = [given.name for given in opened.get_inputs()]
    k = CASES[case].frames

    def run(shown: Clips) -> object:
        inputs = {name: value.numpy() for name, value in inputs_of(shown, k, names).items()}
        return opened.run(["logits"], inputs)

    return run


def serve(name: str, case: str, path: Path, pipe: Connection) -> None:
    """Runs a contender whenever a number of videos is received, and returns its CPU seconds."""
    torch.set_num_threads(1)
    run = contender(name, case, path)
    with torch.inference_mode():
        while videos := pipe.recv():
            shown = clips(case, videos)
            began = time.thread_time()
            run(shown)
            pipe.send(time.thread_time() - began)


def export(case: str, folder: Path) -> dict[str, Path]:
    """Writes the files of all contenders."""
    about = {"frames": CASES[case].frames}
    model, example = network(case), clips(case, 2)
    files = {
        name: folder / f"{name.replace(' ', '-')}.onnx"
        for name in ("onnxruntime fp32", "onnxruntime int8", "unrolled")
    }
    whole = onnx_model(model, example, about)
    files["onnxruntime fp32"].write_bytes(whole.SerializeToString())
    files["onnxruntime int8"].write_bytes(quantized(whole, folder).SerializeToString())
    if not CASES[case].is_unrolled:
        files.pop("unrolled")
    else:
        program = torch.onnx.export(
            traced(deployed(model, example, about)),
            dynamo=True,
            verbose=False,
            output_names=["logits", "probabilities"],
        )
        assert program is not None
        program.save(files["unrolled"])
    return {"torch fp32": folder, **files}


def measured(case: str) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        files = export(case, Path(folder))
        spawn, workers = multiprocessing.get_context("spawn"), {}
        for name, path in files.items():
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=serve, args=(name, case, path, theirs), daemon=True)
            process.start()
            workers[name] = (ours, process)
        taken = {videos: timed(workers, videos) for videos in (1, CASES[case].many)}
        for pipe, process in workers.values():
            pipe.send(0)
            process.join()
    return [
        compared(
            f"deployed, {case}, batch {videos}, {name}",
            "ms",
            1e3 * seconds,
            peer=("torch fp32", 1e3 * found["torch fp32"]),
            runs=REPEATS[videos],
        )
        for videos, found in taken.items()
        for name, seconds in found.items()
        if name != "torch fp32"
    ]


def timed(workers: dict[str, tuple[Connection, object]], videos: int) -> dict[str, float]:
    """Returns the median CPU seconds of each contender; one video is run once before it counts."""
    seen: dict[str, list[float]] = {name: [] for name in workers}
    warm_up = 1 if videos == 1 else 0
    for repeat in range(REPEATS[videos] + warm_up):
        for name, (pipe, _) in workers.items():
            pipe.send(videos)
            seconds = pipe.recv()
            seen[name] += [seconds] if repeat >= warm_up else []
    return {name: statistics.median(found) for name, found in seen.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; the others stay")
    chosen, path = parser.parse_args().cases, Path(__file__).with_suffix(".csv")
    torch.set_num_threads(1)
    rows = read(path) if chosen else []
    for case in chosen or CASES:
        new = measured(case)
        of_case = f"deployed, {case}, batch"
        place = next((n for n, row in enumerate(rows) if row.stage.startswith(of_case)), len(rows))
        rows = [row for row in rows if not row.stage.startswith(of_case)]
        rows[place:place] = new
        keep(rows, path)


if __name__ == "__main__":
    main()
