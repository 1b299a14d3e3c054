"""What is in the wheel that others install, and what is installed beside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(ROOT),
    ]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_sweep_file(wheel: zipfile.ZipFile) -> None:
    sweep_files = ROOT / "plugins" / "distillbench_plugins" / "sweeps"
    held = {
        name.rpartition("/")[2]
        for name in wheel.namelist()
        if name.startswith("distillbench_plugins/sweeps/")
    }
    assert held == {path.name for path in sweep_files.glob("*.toml")}
    assert "table1.toml" in held


def test_the_wheel_holds_all_that_a_page_is_made_of(wheel: zipfile.ZipFile) -> None:
    static = ROOT / "distillbench" / "page" / "static"
    files = {f"distillbench/page/static/{path.name}" for path in static.iterdir()}
    assert files
    assert files <= set(wheel.namelist())


def test_the_wheel_says_that_it_is_typed(wheel: zipfile.ZipFile) -> None:
    held = wheel.namelist()
    assert {"distillbench/py.typed", "distillbench_plugins/py.typed"} <= set(held)


def test_the_wheel_says_where_the_project_is_at_home(wheel: zipfile.ZipFile) -> None:
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    told = wheel.read(metadata).decode()
    for title in ("Documentation", "Changelog", "Source", "Issues"):
        assert f"\nProject-URL: {title}, https://github.com/distillbench/distillbench" in told


@pytest.fixture(scope="module")
def alone(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment that has the wheel and what it depends on, and no more."""
    needed, absent = _needed(PROJECT["dependencies"], {})
    if absent:
        pytest.skip(f"not installed: {', '.join(sorted(absent))}")
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder / "venv", symlinks=True)
    programs = folder / "venv" / "bin"
    _link(needed, folder / "dependencies")
    (found,) = (folder / "venv").glob("lib/python*/site-packages")
    (found / "dependencies.pth").write_text(f"{folder / 'dependencies'}\n", encoding="utf-8")
    _done(
        sys.executable,
        *("-m", "pip", "--python", programs / "python", "install", "--quiet"),
        *("--no-index", "--no-deps", str(wheel.filename)),
    )
    return programs


@pytest.mark.slow
def test_the_wheel_alone_loads_every_plugin(alone: Path, tmp_path: Path) -> None:
    import distillbench

    program = alone / "distillbench"
    version = _done(program, "--version", cwd=tmp_path)
    assert version.split() == ["distillbench", distillbench.__version__]
    listed = _done(program, "plugins", cwd=tmp_path)
    assert "not usable" not in listed
    assert {"hrnn", "onnx", "mlflow", "tensorboard", "wandb", "huggingface", "optuna-tpe"} <= set(
        listed.split()
    )
    where = _done(
        *(alone / "python", "-c", "import distillbench; print(distillbench.__file__)"), cwd=tmp_path
    )
    assert Path(where.strip()).is_relative_to(alone.parent)


@pytest.mark.slow
def test_the_wheel_alone_runs_and_checks_and_prints_a_board(
    alone: Path, tmp_path: Path, tiny: list[str]
) -> None:
    program = alone / "distillbench"
    _done(program, "run", *tiny, "--schedule", "serial", cwd=tmp_path)
    board = _done(program, "leaderboard", "results", "--format", "csv", cwd=tmp_path)
    assert len(board.splitlines()) == 2
    assert "1 component: " in _done(program, "check", "uniform", cwd=tmp_path)
    told = _done(program, "demo", cwd=tmp_path)
    assert "hrnn teacher" in told
    assert (tmp_path / "results/demo/site/index.html").stat().st_size > 500_000


@pytest.mark.slow
def test_what_make_installs_can_be_installed_beside_the_pins() -> None:
    """Of extras that fast tests install, and of `make bench`, whose peers have bounds of their own."""
    asked = re.findall(r"--editable '(\.\[.+?\])'", (ROOT / "Makefile").read_text())
    assert len(asked) == 2
    for extras in asked:
        _done(
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"),
            *("--constraint", ROOT / "constraints.txt", f"{ROOT}{extras[1:]}"),
        )


def test_every_pin_is_of_a_package_that_the_project_needs() -> None:
    extras = ["plot", "tune", "video", "export", "hdf5", "tensorboard", "published"]
    extras += ["browser", "ray", "slurm", "remote", "dev"]
    listed = [*PYPROJECT["build-system"]["requires"], *PROJECT["dependencies"]]
    listed += [each for extra in extras for each in PROJECT["optional-dependencies"][extra]]
    needed, absent = _needed(listed, {"sys_platform": "linux", "platform_system": "Linux"})
    if absent:
        pytest.skip(f"not installed, so what they need is not known: {', '.join(sorted(absent))}")
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {
        canonicalize_name(line.partition("==")[0]) for line in lines if not line.startswith("#")
    }
    assert sorted(pinned - needed) == []


def _needed(listed: Iterable[str], where: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """Lists what requirements need, directly or not; and what of it is not installed.

    where: marker values of a platform, in place of this one's.
    """
    waiting = list(listed)
    seen: set[tuple[str, str]] = set()
    absent: set[str] = set()
    while waiting:
        needed = Requirement(waiting.pop())
        name = canonicalize_name(needed.name)
        for extra in {"", *needed.extras} - {known for other, known in seen if other == name}:
            seen.add((name, extra))
            try:
                waiting += [
                    each
                    for each in requires(name) or []
                    if _applies(Requirement(each), {**where, "extra": extra})
                ]
            except PackageNotFoundError:
                absent.add(name)
    return {name for name, _ in seen}, absent


def _applies(needed: Requirement, where: Mapping[str, str]) -> bool:
    return needed.marker is None or needed.marker.evaluate(dict(where))


def _link(names: Iterable[str], folder: Path) -> None:
    """Makes a folder from which installed distributions can be imported, and nothing else."""
    folder.mkdir()
    for name in names:
        found = distribution(name)
        tops = {path.parts[0] for path in found.files or ()}
        for top in tops - {"..", "__pycache__"}:
            place = Path(str(found.locate_file(top)))
            if not (folder / top).exists():
                (folder / top).symlink_to(place)


def _done(*words: object, cwd: Path | None = None) -> str:
    """Runs a program without this environment's paths, and returns what it printed."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, cwd=cwd, env=env, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
