"""Somebody's distribution, built and installed by pip: each of its methods keeps the contract, runs and resumes."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

HERE = Path(__file__).resolve().parent
PUBLIC = {"distillbench", "distillbench.interfaces", "distillbench.data", "distillbench.errors"}
NOT_REPEATED = {"seconds", "latency", "evaluation_seconds", "peak_memory"}

SMALL = ["--k", "4"]
for _assignment in (
    "data.train=64",
    "data.validation=24",
    "data.test=32",
    "data.frames=12",
    "training.epochs=3",
    "training.batch_size=16",
    "training.threads=1",
):
    SMALL += ["--set", _assignment]
HRNN = ["--set", "teacher.cell_size=8", "--set", "student.cell_size=8"]
ALONE = ["--schedule", "scratch"]

RUNS = {
    "gate": (2, [*HRNN, *ALONE, "--selector", "gate", "--loss", "ce"]),
    "sampler": (2, [*HRNN, *ALONE, "--selector", "sampler", "--loss", "ce,policy-gradient:0.1"]),
    "slow-start": (2, [*ALONE, "--student", "slow-start", "--loss", "every-exit"]),
    "confident": (2, [*ALONE, "--student", "slow-start", "--loss", "every-exit", "--exit-policy", "confident"]),
    "peers": (2, [*HRNN, "--schedule", "peers"]),
    "assistants": (8, [*HRNN, "--schedule", "assistants"]),
    "born-again": (5, [*HRNN, "--schedule", "born-again"]),
    "mean-teacher": (2, [*HRNN, "--schedule", "mean-teacher"]),
    "curriculum": (5, [*HRNN, "--schedule", "curriculum"]),
    "any-k": (5, [*HRNN, "--schedule", "any-k"]),
    "two-teachers": (8, [*HRNN, "--schedule", "two-teachers"]),
    "netvlad": (5, ["--teacher", "netvlad", "--student", "netvlad"]),
    "crd": (5, [*HRNN, "--loss", "ce,crd"]),
}
"""By extension: after how many checkpoints the run is killed, and its flags."""


@pytest.fixture(scope="session")
def fieldwork(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has built and installed the distribution."""
    folder = tmp_path_factory.mktemp("fieldwork")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps"]
    done = subprocess.run(
        [*pip, "--target", str(folder), str(HERE / "project")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def installed(fieldwork: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(fieldwork))


@pytest.fixture(scope="session")
def killed(fieldwork: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of results by extension, in each of which a run was killed by SIGKILL."""
    folder = tmp_path_factory.mktemp("killed")
    path = os.pathsep.join([str(fieldwork), *filter(None, sys.path)])

    def kill(name: str) -> None:
        saves, flags = RUNS[name]
        words = ["run", *SMALL, *flags, "--results", str(folder / name)]
        done = subprocess.run(
            [sys.executable, str(HERE / "killed.py"), str(saves), *words],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(kill, RUNS))
    return {name: folder / name for name in RUNS}


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


def test_it_keeps_the_contract(installed: None, command: Any) -> None:
    code, out, _ = command("check", "--from", "fieldwork")
    assert code == 0, out
    assert "0 broken" in out


@pytest.mark.parametrize("name", RUNS)
def test_it_runs_to_a_row_and_a_killed_run_ends_with_the_same_bits(
    name: str, installed: None, command: Any, killed: dict[str, Path], tmp_path: Path
) -> None:
    _, flags = RUNS[name]
    code, _, err = command("run", *SMALL, *flags, "--results", tmp_path)
    assert code == 0, err
    assert not list(killed[name].glob("*.json"))
    code, _, err = command("run", *SMALL, *flags, "--results", killed[name])
    assert code == 0, err
    assert "going on in phase" in err
    assert numbers(killed[name]) == numbers(tmp_path)
    code, out, _ = command("leaderboard", tmp_path, "--format", "csv")
    assert code == 0
    assert "fieldwork 1.4.0" in out
