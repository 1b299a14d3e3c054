"""Somebody's distribution, built and installed by pip: each of its methods keeps the contract, runs and resumes."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file
from third_party.killed import run_until_killed

HERE = Path(__file__).resolve().parent
PUBLIC = {"distillbench", "distillbench.interfaces", "distillbench.errors", "distillbench.reports"}
NOT_REPEATED = {"seconds", "latency", "evaluation_seconds", "peak_memory"}

SMALL = ["--k", "4"]
for _assignment in (
    "training.epochs=3",
    "training.batch_size=16",
    "training.threads=1",
):
    SMALL += ["--set", _assignment]
DIGITS = [
    word
    for name, n in (("train", 64), ("validation", 24), ("test", 32), ("frames", 12))
    for word in ("--set", f"data.{name}={n}")
]
HRNN = ["--set", "teacher.cell_size=8", "--set", "student.cell_size=8"]
ALONE = ["--schedule", "scratch"]

RUNS = {
    "gate": (2, [*HRNN, *ALONE, "--selector", "gate", "--loss", "ce"]),
    "sampler": (2, [*HRNN, *ALONE, "--selector", "sampler", "--loss", "ce,policy-gradient:0.1"]),
    "slow-start": (2, [*ALONE, "--student", "slow-start", "--loss", "every-exit"]),
    "confident": (
        2,
        [*ALONE, "--student", "slow-start", "--loss", "every-exit", "--exit-policy", "confident"],
    ),
    "peers": (2, [*HRNN, "--schedule", "peers"]),
    "chain": (8, [*HRNN, "--schedule", "chain"]),
    "reborn": (5, [*HRNN, "--schedule", "reborn"]),
    "follower": (2, [*HRNN, "--schedule", "follower"]),
    "fewer-frames": (5, [*HRNN, "--schedule", "fewer-frames"]),
    "drawn-k": (5, [*HRNN, "--schedule", "drawn-k"]),
    "two-teachers": (8, [*HRNN, "--schedule", "two-teachers"]),
    "vlad": (5, ["--teacher", "vlad", "--student", "vlad"]),
    "contrast": (5, [*HRNN, "--loss", "ce,contrast"]),
    "points": (5, [*HRNN, "--data", "points"]),
    "npy-folder": (5, [*HRNN, "--data", "npy-folder"]),
}
"""By extension: after how many checkpoints the run is killed, and its flags."""


@pytest.fixture(scope="session")
def fieldwork(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has built and installed the distribution."""
    folder = tmp_path_factory.mktemp("fieldwork")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps"]
    done = subprocess.run(
        [*pip, "--target", str(folder), str(HERE / "project")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def words_of(name: str, arrays: Path) -> list[str]:
    """The command line of an extension's run."""
    flags = [*SMALL, *RUNS[name][1]]
    if name == "npy-folder":
        return [*flags, "--data-dir", str(arrays)]
    return flags if name == "points" else [*flags, *DIGITS]


@pytest.fixture
def installed(fieldwork: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(fieldwork))


def kill(name: str, arrays: Path, folder: Path) -> None:
    """Starts an extension's run in a process of its own, which ends by SIGKILL after some checkpoints."""
    words = ["run", *words_of(name, arrays), "--results", str(folder)]
    told = folder.with_name("killed.log")
    code = run_until_killed(RUNS[name][0], words, told)
    assert code == -signal.SIGKILL, told.read_text()


def numbers(folder: Path) -> dict[str, Any]:
    """Everything that a run determined: metrics, cost, history, weights and predictions."""
    (path,) = folder.glob("*.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    files = {name: digest(folder / file) for name, file in content["files"].items()}
    kept = {name: repeated(content[name]) for name in ("metrics", "cost", "history", "fidelity")}
    return {**kept, **files}


def repeated(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: repeated(inner) for name, inner in value.items() if name not in NOT_REPEATED}
    return [repeated(inner) for inner in value] if isinstance(value, list) else value


def digest(path: Path) -> str:
    hashed = hashlib.sha256()
    for name, array in sorted(load_file(path).items()):
        hashed.update(f"{name}{array.dtype}{array.shape}".encode() + array.tobytes())
    return hashed.hexdigest()


def test_its_modules_import_public_modules_alone() -> None:
    for path in (HERE / "project" / "fieldwork").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            foreign = [n for n in names if n and n.startswith("distillbench") and n not in PUBLIC]
            assert not foreign, f"{path.name} imports {foreign}"


def test_it_keeps_the_contract(installed: None, arrays: Path, command: Any) -> None:
    code, out, _ = command("check", "--from", "fieldwork")
    assert code == 0, out
    assert "0 broken" in out
    code, out, _ = command("check", "npy-folder", "--data-dir", arrays)
    assert code == 0, out
    assert "not checked" not in out


@pytest.mark.parametrize("name", RUNS)
def test_it_runs_to_a_row_and_a_killed_run_ends_with_the_same_bits(
    name: str, installed: None, command: Any, arrays: Path, tmp_path: Path
) -> None:
    words = words_of(name, arrays)
    code, _, err = command("run", *words, "--results", tmp_path)
    assert code == 0, err
    killed = tmp_path / "killed"
    kill(name, arrays, killed)
    assert not list(killed.glob("*.json"))
    code, _, err = command("run", *words, "--results", killed)
    assert code == 0, err
    assert "resuming phase" in err
    assert numbers(killed) == numbers(tmp_path)
    code, out, _ = command("leaderboard", tmp_path, "--format", "csv")
    assert code == 0
    assert "fieldwork 1.4.0" in out


def test_single_label_data_are_trained_judged_and_ranked_by_what_they_name(
    installed: None, command: Any, tmp_path: Path
) -> None:
    code, _, err = command("run", *words_of("points", tmp_path), "--results", tmp_path)
    assert code == 0, err
    (path,) = tmp_path.glob("*.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    assert "margin" in content["setup"]["losses"]
    assert "ce" not in content["setup"]["losses"]
    assert content["data"]["metrics"] == ["worst_class", "top_1"]
    assert content["budget"]["epoch_chosen_by"] == "validation worst class"
    assert "worst class" in command("leaderboard", tmp_path)[1]


def test_its_executor_report_and_exporter_serve_the_command_line(
    installed: None, command: Any, tmp_path: Path
) -> None:
    words = [*words_of("points", tmp_path), *ALONE, "--seed", "0:2", "--results", tmp_path]
    code, _, err = command("sweep", *words, "--executor", "one-by-one")
    assert code == 0, err
    first, _second = sorted(tmp_path.glob("*.json"))
    code, out, err = command("report", "bars", "--results", tmp_path, "--out", tmp_path / "figures")
    assert code == 0, err
    assert all(Path(line).stat().st_size > 1000 for line in out.splitlines())
    code, out, err = command("export", first, "--to", "archive", "--out", tmp_path / "network.npz")
    assert code == 0, err
    assert "differ by at most 0" in out


@pytest.mark.parametrize("name", ["gate", "confident"])
def test_what_is_a_part_of_the_network_is_exported_and_quantised_with_it(
    name: str, installed: None, command: Any, tmp_path: Path
) -> None:
    assert command("run", *words_of(name, tmp_path), "--results", tmp_path)[0] == 0
    (path,) = tmp_path.glob("*.json")
    cost = json.loads(path.read_text(encoding="utf-8"))["cost"]
    assert cost["frames_read"] == (6.0 if name == "gate" else pytest.approx(2.5, abs=1.0))
    assert cost["selector_macs"] == (6 * 64 if name == "gate" else 0)
    out = ["--to", "safetensors-bundle", "--out", tmp_path / "network.safetensors"]
    code, _, err = command("export", path, *out)
    assert code == 0, err
    code, _, err = command("quantize", path.stem, "--results", tmp_path)
    assert code == 0, err


@pytest.mark.parametrize(
    "flags",
    [
        ["--selector", "sampler", "--loss", "ce,contrast,policy-gradient:0.1"],
        ["--schedule", "follower"],
    ],
    ids=["a memory bank and a selector that draws", "an average that teaches"],
)
def test_several_processes_find_what_one_finds(
    flags: list[str], fieldwork: Path, installed: None, command: Any, tmp_path: Path
) -> None:
    words = [*SMALL, *HRNN, *DIGITS, *flags]
    assert command("run", *words, "--results", tmp_path / "one")[0] == 0
    path = os.pathsep.join([str(fieldwork), *filter(None, sys.path)])
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "distillbench"]
    done = subprocess.run(
        [sys.executable, *launch, "run", *words, "--results", str(tmp_path / "two")],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    one, two = (
        load_file(next((tmp_path / name).glob("*.network.safetensors"))) for name in ("one", "two")
    )
    assert max(float(abs(one[key] - two[key]).max()) for key in one) < 5e-5
