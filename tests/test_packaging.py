"""What is in the wheel that others install, and what is installed beside it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


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


def test_the_wheel_says_where_the_project_is_at_home(wheel: zipfile.ZipFile) -> None:
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    told = wheel.read(metadata).decode()
    for title in ("Documentation", "Changelog", "Source", "Issues"):
        assert f"\nProject-URL: {title}, https://github.com/distillbench/distillbench" in told


def test_every_pin_is_of_a_package_that_the_project_needs() -> None:
    needed, absent = _needed(["plot", "tune", "video", "export", "hdf5", "dev"])
    if absent:
        pytest.skip(f"not installed, so what they need is not known: {', '.join(sorted(absent))}")
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {
        canonicalize_name(line.partition("==")[0]) for line in lines if not line.startswith("#")
    }
    assert sorted(pinned - needed) == []


def _needed(extras: list[str]) -> tuple[set[str], set[str]]:
    """Lists what is needed, directly or not, where CI runs; and what of it is not installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    waiting = [
        *listed,
        *(each for extra in extras for each in project["project"]["optional-dependencies"][extra]),
    ]
    seen: set[tuple[str, str]] = set()
    absent: set[str] = set()
    while waiting:
        needed = Requirement(waiting.pop())
        name = canonicalize_name(needed.name)
        for extra in {"", *needed.extras} - {known for other, known in seen if other == name}:
            seen.add((name, extra))
            try:
                waiting += [
                    each for each in requires(name) or [] if _applies(Requirement(each), extra)
                ]
            except PackageNotFoundError:
                absent.add(name)
    return {name for name, _ in seen}, absent


def _applies(needed: Requirement, extra: str) -> bool:
    where = {"sys_platform": "linux", "platform_system": "Linux", "extra": extra}
    return needed.marker is None or needed.marker.evaluate(where)
