"""`python tests/golden/runs.py`: trains every golden run from the command line and prints all its numbers as JSON.

The golden runs say whether a change of the code changed a number: every schedule, objective and head sharing, redrawn
frames, the controls, both presets, 8 bits and the paper's tables, each from a second or two of training. Numbers are
written to the last bit, weights by a digest of theirs.

Processors differ, and so do the bits that the fastest kernels of each make. `ENVIRONMENT` asks torch, MKL, oneDNN and
numpy for the kernels that every x86 processor has; `processor` says on which one the numbers were made.

    python tests/golden/runs.py > tests/golden/golden.json      after a change that is meant to change them
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

ENVIRONMENT = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "OMP_NUM_THREADS": "1",
}
TABLES = ("table1", "table2", "table3", "table4", "controls")
NOT_COMPARED = frozenset(
    {"seconds", "latency", "evaluation_seconds", "peak_memory", "seconds_of_this_run"}
)
"""What a clock or an allocator says."""

_TINY = {
    "data.train": 96,
    "data.validation": 32,
    "data.test": 48,
    "data.frames": 12,
    "teacher.cell_size": 12,
    "student.cell_size": 12,
    "training.epochs": 2,
    "training.patience": 0,
    "training.batch_size": 32,
    "training.learning_rate": 3e-3,
    "training.decay": 0.95,
    "training.decay_examples": 4_000_000,
    "training.threads": 1,
}
_SHARDS = {
    "data.videos": 120,
    "data.rgb": 12,
    "data.audio": 4,
    "data.classes": 6,
    "data.longest": 14,
    "teacher.cell_size": 12,
    "student.cell_size": 12,
    "training.epochs": 2,
    "training.batch_size": 32,
    "training.threads": 1,
}
_SMALL_PRESET = {
    "teacher.cell_size": 12,
    "student.cell_size": 12,
    "training.epochs": 2,
    "training.batch_size": 32,
}


def sweep_files() -> Iterator[tuple[str, list[str]]]:
    """Yields every golden run's name and its command line."""
    for schedule in ("teacher", "scratch"):
        yield f"digits {schedule}", _asked(_TINY, schedule=schedule)
    for schedule in ("serial", "parallel"):
        for loss in ("rep", "rep,ce", "rep,ce,pred", "rep-intermediate,ce"):
            yield f"digits {schedule} {loss}", _asked(_TINY, schedule=schedule, loss=loss)
        for head in ("separate", "copy", "tied", "frozen"):
            knobs = {**_TINY, "schedule.head": head}
            yield f"heads {schedule} {head}", _asked(knobs, schedule=schedule, loss="rep,ce,pred")
    yield (
        "heads serial own",
        _asked({**_TINY, "schedule.finetune_head": "own"}, schedule="serial", loss="rep"),
    )
    for selector in ("random", "first", "first-middle-last"):
        yield f"digits scratch {selector}", _asked(_TINY, schedule="scratch", selector=selector)
    for schedule in ("scratch", "serial"):
        yield (
            f"digits {schedule} redrawn",
            _asked(_TINY, schedule=schedule, train_selector="random"),
        )
        jittered = {**_TINY, "train_selector.jitter": "true"}
        yield (
            f"digits {schedule} jittered",
            _asked(jittered, schedule=schedule, train_selector="uniform"),
        )
    for knob, value in (
        ("schedule.targets", "shuffled"),
        ("schedule.targets", "same-frames"),
        ("schedule.teacher", "untrained"),
    ):
        yield f"digits serial {value}", _asked({**_TINY, knob: value}, schedule="serial")
    smoothed = {**_TINY, "loss.ce.label_smoothing": 0.1}
    yield "digits smoothed", _asked(smoothed, schedule="scratch", loss="ce")
    yield "digits twice as long", _asked({**_TINY, "schedule.epochs_factor": 2}, schedule="scratch")
    yield "digits half the data", _asked({**_TINY, "data.train": 48}, schedule="serial")
    yield "digits another seed", _asked(_TINY, schedule="serial", seed="1")
    yield "digits bf16", _asked({**_TINY, "training.precision": "bf16"}, schedule="serial")
    for preset in ("paper", "released-code"):
        knobs = {k: v for k, v in _TINY.items() if k.startswith("data.")} | _SMALL_PRESET
        yield (
            f"presets {preset}",
            _asked(knobs | {"training.threads": 1}, schedule="serial", preset=preset, k="5"),
        )
    for schedule in ("teacher", "scratch", "serial", "parallel"):
        yield f"shards {schedule}", _asked(_SHARDS, data="synthetic", schedule=schedule)


def _asked(knobs: Mapping[str, object], **choices: str) -> list[str]:
    words = [
        word
        for name, value in {"k": "4", **choices}.items()
        for word in (f"--{name.replace('_', '-')}", value)
    ]
    return words + [word for name, value in knobs.items() for word in ("--set", f"{name}={value}")]


def make(folder: Path) -> dict[str, Any]:
    """Makes every golden run in a folder and returns its numbers by name, and those of the tables."""
    found: dict[str, Any] = {}
    for name, words in sweep_files():
        results = folder / name.partition(" ")[0]
        made = Path(_call("run", *words, "--results", str(results)).splitlines()[-1])
        found[name] = _numbers_of(made)
        if name in ("digits scratch", "digits serial rep,ce,pred"):
            _call("quantize", made.stem, "--results", str(results))
            found[f"{name} in 8 bits"] = _numbers_of(results / f"{made.stem}-int8.json")
    for table in TABLES:
        where = ("--where", "precision=fp32", "--format", "csv")
        written = _call("report", table, "--results", str(folder / "digits"), *where)
        found[f"report {table}"] = [line for line in written.splitlines() if ",s," not in line]
    return found


def _call(*words: str) -> str:
    from distillbench.cli import main

    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["distillbench", *words]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as stopped:
        if stopped.code:
            raise RuntimeError(f"{' '.join(words)}: {err.getvalue()}") from None
    finally:
        sys.argv = before
    return out.getvalue()


def _numbers_of(path: Path) -> dict[str, Any]:
    """Reads what training and evaluation determine: quality, cost, fidelity, every epoch, weights and predictions."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return {
        "metrics": content["metrics"],
        "cost": _compared(content["cost"]),
        "fidelity": content["fidelity"],
        "history": [_compared(row) for row in content["history"]],
        "weights": _digest(path.parent / content["files"]["network"]),
        "predictions": _digest(path.parent / content["files"]["predictions"]),
    }


def _compared(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _compared(inner) for name, inner in value.items() if name not in NOT_COMPARED}
    return value


def _digest(path: Path) -> str:
    """Hashes every tensor of a file in the order of their names, which are not hashed: a renamed weight is the same."""
    from safetensors.numpy import load_file

    hashed = hashlib.sha256()
    for _, array in sorted(load_file(path).items()):
        hashed.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return hashed.hexdigest()[:16]


def main() -> None:
    """Makes the golden runs and prints their numbers."""
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        os.execve(
            sys.executable, [sys.executable, *sys.argv], {**os.environ, **ENVIRONMENT}
        )  # before torch is loaded
    from distillbench.evaluation import latency

    latency._FEWEST, latency._SECONDS = 2, 0.0  # times are not compared
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DISTILLBENCH_CACHE"] = folder
        found = {"processor": processor(), **make(Path(folder))}
    lines = (
        f"{json.dumps(name)}: {json.dumps(numbers, sort_keys=True)}"
        for name, numbers in found.items()
    )
    print("{\n" + ",\n".join(lines) + "\n}")


def processor() -> str:
    """Names the processor by a digest of what tells one make from another, its instructions included."""
    told = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("vendor_id", "cpu family", "model", "flags"):
                told[name.strip()] = " ".join(sorted(value.split()))
    except OSError:
        told["machine"] = platform.machine()
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


if __name__ == "__main__":
    main()
