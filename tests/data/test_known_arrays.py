"""A folder of many arrays opens again without reading them, and never as what it was before."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from distillbench.data import FeatureSource, NpyFolder, known_arrays, npy_folder
from distillbench.errors import DataError
from distillbench.interfaces import Splits

HOUR = 3600


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Thirty arrays that were written an hour ago, which are worth keeping."""
    for module in (known_arrays, npy_folder):
        monkeypatch.setattr(module, "WORTH", 10)
    for number in range(30):
        write(tmp_path / "data" / f"d{number % 2}" / f"v{number}.npy", number)
    rows = "".join(f"d{number % 2}/v{number},a\n" for number in range(30))
    (tmp_path / "data" / "labels.csv").write_text("id,labels\n" + rows)
    return tmp_path / "data"


def write(path: Path, number: float, ago: int = HOUR) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.full((3, 4), number, np.float16))
    time = path.stat().st_mtime - ago
    os.utime(path, (time, time))


def opened(folder: Path, **knobs: bool) -> Splits:
    source = FeatureSource(dir=str(folder), validation_share=0.3, test_share=0.3, **knobs)  # type: ignore[arg-type]
    return source.splits(NpyFolder())


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the arrays whose headers were read."""
    names: list[str] = []
    npy_array = npy_folder.npy_array

    def noting(path: str) -> object:
        names.append(Path(path).stem)
        return npy_array(path)

    monkeypatch.setattr(npy_folder, "npy_array", noting)
    return names


def test_what_was_read_before_is_not_read_again(folder: Path, read: list[str]) -> None:
    first = opened(folder)
    assert len(read) == 30
    assert opened(folder).train.fingerprint == first.train.fingerprint
    assert len(read) == 30


def test_what_changed_is_read_again(folder: Path, read: list[str]) -> None:
    first = opened(folder)
    read.clear()
    write(folder / "d0" / "v4.npy", 99, HOUR - 5)
    np.save(folder / "d1" / "v7.npy", np.ones((9, 4), np.float16))
    assert opened(folder).train.fingerprint != first.train.fingerprint
    assert sorted(read) == ["v4", "v7"]
    opened(folder)
    assert sorted(read) == ["v4", "v7", "v7"]  # which was written just now


def test_numbers_that_were_not_looked_at_are(folder: Path, read: list[str]) -> None:
    opened(folder)
    opened(folder, check_values=True)
    assert len(read) == 60
    opened(folder, check_values=True)
    opened(folder)
    assert len(read) == 60


def test_what_cannot_be_used_is_told_each_time(folder: Path) -> None:
    write(folder / "d0" / "v4.npy", np.nan)
    for _ in range(2):
        opened(folder)
        with pytest.raises(DataError, match="d0/v4: it has a number that is not finite"):
            opened(folder, check_values=True)
    (folder / "d0" / "v6.npy").unlink()
    with pytest.raises(DataError, match="d0/v6: it has labels and no array"):
        opened(folder)


@pytest.mark.parametrize("damage", [0, 20, -1])
def test_damaged_knowledge_is_made_again(
    folder: Path, read: list[str], cache: Path, damage: int
) -> None:
    first = opened(folder)
    (path,) = (cache / "arrays").glob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[damage] ^= 0xFF
    path.write_bytes(content)
    assert opened(folder).train.fingerprint == first.train.fingerprint
    assert len(read) == 60
    opened(folder)
    assert len(read) == 60


def test_where_nothing_can_be_kept_folders_open_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path / "file" / "below"))
    assert opened(folder).train.fingerprint == opened(folder).train.fingerprint
