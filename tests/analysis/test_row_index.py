"""The index of rows changes how long a board takes, and nothing on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from results.made_up import write_result
from running import metrics

from distillbench.analysis import board, row_index
from distillbench.analysis.board import leaderboard
from distillbench.config.run_spec import RunSpec
from distillbench.registry.discovery import Registry
from distillbench.results import failures, store

Told = tuple[pd.DataFrame, list[str]]


@pytest.fixture(autouse=True)
def quick(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes what is installed from memory, keys from a folder of the test, and files as old enough."""
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("distillbench.registry.discovery.discover", lambda _: registry)
    monkeypatch.setattr(row_index, "_SETTLED_NS", 0)


@pytest.fixture(scope="module")
def made(make_spec: Callable[..., RunSpec], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with five results, two of them of one row, and a failure."""
    folder = tmp_path_factory.mktemp("made")
    for k, seed, knows in ((3, 0, 1.0), (3, 1, 1.1), (4, 0, 0.5), (4, 1, 0.6), (5, 0, 2.0)):
        write_result(folder, make_spec(k=k, seed=seed), knows)
    failures.keep(folder, make_spec(k=6), "failed", "it did <b>not</b> work")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "results"))


def told(folder: Path | list[Path], **how: object) -> Told:
    warnings: list[str] = []
    return leaderboard(folder, warn=warnings.append, **how), warnings  # type: ignore[arg-type]


def without_index(folder: Path | list[Path], **how: object) -> Told:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(board, "code_of", lambda _: "")
        return told(folder, **how)


def assert_same(one: Told, other: Told) -> None:
    pd.testing.assert_frame_equal(one[0], other[0], check_exact=True)
    assert one[0].attrs == other[0].attrs
    assert one[1] == other[1]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The results and predictions that are read from here on, by the name of the file."""
    found: list[str] = []
    for name in ("read", "load_predictions"):
        original = getattr(store, name)
        monkeypatch.setattr(
            store,
            name,
            lambda path, *rest, original=original: (
                found.append(path.name.partition(".")[0]) or original(path, *rest)
            ),
        )
    return found


HOW: list[dict[str, object]] = [
    {},
    {"each": True},
    {"sort": "macs", "top": 2},
    {"group_by": "k"},
    {"where": ["schedule.epochs_factor=1"]},
    {"where": ["training.epochs=2", "k=3|4"]},
    {"where": ["seed=0"], "sort": "map_at_20"},
]


@pytest.mark.parametrize("how", HOW, ids=str)
def test_a_known_board_is_the_board(folder: Path, how: dict[str, object]) -> None:
    def made(make: Callable[..., Told]) -> Told | str:
        try:
            return make(folder, **how)
        except Exception as error:
            return repr(error)

    expected = made(without_index)
    assert not (folder / row_index.NAME).exists()
    told(folder)
    for found in (made(told), made(told)):
        if isinstance(found, str) or isinstance(expected, str):
            assert found == expected
        else:
            assert_same(found, expected)


def test_what_is_known_is_not_read_again(folder: Path, read: list[str]) -> None:
    told(folder)
    assert len(read) > 5
    read.clear()
    told(folder)
    assert read == []


def test_what_changed_is_read_again_and_nothing_else(folder: Path, read: list[str]) -> None:
    told(folder, each=True)
    changed = min(folder.glob("*.json"))
    text = changed.read_text()
    changed.write_text(text.replace('"macs": 3000', '"macs": 3001'))
    assert changed.stat().st_size == len(text)
    read.clear()
    told(folder, each=True)
    assert set(read) == {changed.stem}


def test_a_file_that_changed_just_now_is_not_relied_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    monkeypatch.setattr(row_index, "_SETTLED_NS", 3600 * 10**9)
    told(folder)
    count = len(read)
    told(folder)
    assert len(read) == 2 * count


def test_another_version_of_the_code_trusts_no_index(
    folder: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    told(folder)
    monkeypatch.setattr(board, "code_of", lambda _: "another")
    read.clear()
    told(folder)
    assert len(set(read)) == 5


def test_an_index_that_somebody_else_wrote_is_ignored_and_written_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = folder / row_index.NAME
    told(folder)
    signature, _, payload = index.read_bytes().partition(b"\n")
    forged = json.loads(payload)
    for each in forged["files"].values():
        each[2] = ["<script>" if isinstance(value, str) else 0.999 for value in each[2]]
    index.write_bytes(signature + b"\n" + json.dumps(forged).encode())
    assert_same(told(folder), without_index(folder))
    own = index.read_bytes()
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path / "of-another-user"))
    assert_same(told(folder), without_index(folder))
    assert index.read_bytes() != own


def test_the_key_is_for_its_owner_alone(folder: Path, tmp_path: Path) -> None:
    told(folder)
    assert (tmp_path / "cache" / "index.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("at", ["index", "key"])
def test_where_nothing_can_be_written_there_is_no_index(
    folder: Path, tmp_path: Path, at: str
) -> None:
    blocked = folder / row_index.NAME if at == "index" else tmp_path / "cache"
    if at == "index":
        blocked.mkdir()  # not even an administrator can replace a folder by a file
    else:
        blocked.write_text("a file where the folder of the cache should be")
    expected = without_index(folder)
    assert_same(told(folder), expected)
    assert_same(told(folder), expected)
    assert not (folder / row_index.NAME).is_file()


def test_two_folders_have_an_index_each_and_share_a_row(
    folder: Path, tmp_path: Path, make_spec: Callable[..., RunSpec], read: list[str]
) -> None:
    other = tmp_path / "other"
    write_result(other, make_spec(k=3, seed=2), 1.2)
    expected = without_index([folder, other])
    assert_same(told([folder, other]), expected)
    read.clear()
    assert_same(told([folder, other]), expected)
    assert read == []
    assert_same(told([other, folder]), without_index([other, folder]))


def test_processes_that_write_it_at_once_leave_one_that_is_whole(folder: Path) -> None:
    code = (
        "import sys; from distillbench.analysis import board, row_index; row_index._SETTLED_NS = 0; "
        "board.leaderboard(sys.argv[1], each=sys.argv[2] == 'True', warn=print)"
    )
    together = [
        subprocess.Popen([sys.executable, "-c", code, str(folder), str(number % 2 == 0)])
        for number in range(2)
    ]
    assert [process.wait() for process in together] == [0, 0]
    assert_same(told(folder), without_index(folder))
    assert not [path for path in folder.iterdir() if path.name.endswith(".tmp")]


def _overwritten(folder: Path, number: int) -> None:
    path = _pick(folder.glob("*.json"), number)
    if path is not None:
        content = json.loads(path.read_text())
        content["metrics"]["gap"] = round(content["metrics"]["gap"] / 2, 3)
        store.write_text(path, json.dumps(content))


def _moved(folder: Path, number: int) -> None:
    path = _pick(folder.glob("*.json"), number)
    if path is not None:
        path.rename(path.with_name(f"copy-{number}.json"))


def _copied(folder: Path, number: int) -> None:
    path = _pick(folder.glob("*.json"), number)
    if path is not None:
        shutil.copy2(path, path.with_name(f"again-{number}.json"))


def _truncated(pattern: str) -> Callable[[Path, int], None]:
    def truncate(folder: Path, number: int) -> None:
        path = _pick(folder.glob(pattern), number)
        if path is not None:
            os.truncate(path, path.stat().st_size // 2)

    return truncate


def _removed(pattern: str) -> Callable[[Path, int], None]:
    def remove(folder: Path, number: int) -> None:
        path = _pick(folder.glob(pattern), number)
        if path is not None:
            path.unlink()

    return remove


def _swapped(folder: Path, number: int) -> None:
    paths = sorted(folder.glob("*.predictions.safetensors"))
    if len(paths) > 1:
        first, second = paths[number % len(paths)], paths[(number + 1) % len(paths)]
        text = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(text)


def _flipped(folder: Path, number: int) -> None:
    index = folder / row_index.NAME
    if index.is_file():
        content = bytearray(index.read_bytes())
        content[number * 7919 % len(content)] ^= 1
        index.write_bytes(bytes(content))


def _pick(paths: Iterator[Path], number: int) -> Path | None:
    found = sorted(paths)
    return found[number % len(found)] if found else None


CHANGES: list[Callable[[Path, int], None]] = [
    _overwritten,
    _moved,
    _copied,
    _swapped,
    _flipped,
    _truncated("*.json"),
    _truncated("*.predictions.safetensors"),
    _truncated("labels/*"),
    _truncated(row_index.NAME),
    _removed("*.json"),
    _removed("*.predictions.safetensors"),
    _removed("labels/*"),
    _removed("failures/*"),
    _removed(row_index.NAME),
]


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 9)), min_size=1, max_size=4))
def test_whatever_happens_to_the_files_the_board_is_that_of_the_files(
    made: Path, tmp_path: Path, changes: list[tuple[Callable[[Path, int], None], int]]
) -> None:
    folder = tmp_path / f"results-{time.monotonic_ns()}"
    shutil.copytree(made, folder)
    told(folder)
    for change, number in changes:
        change(folder, number)
        assert_same(told(folder), without_index(folder))
    assert_same(told(folder), without_index(folder))


def test_the_code_is_identified_by_every_source_file_that_metrics_are_from() -> None:
    known = row_index.code_of(metrics())
    assert known == row_index.code_of(metrics())
    assert known != row_index.code_of(dict(list(metrics().items())[1:]))


def test_a_known_board_is_printed_without_torch(folder: Path) -> None:
    code = (
        "import sys; from distillbench.analysis import row_index; row_index._SETTLED_NS = 0; "
        "sys.argv[:] = ['distillbench', 'leaderboard', sys.argv[1]]; "
        "from distillbench.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print({'torch', 'scipy', 'sklearn', 'distillbench.results.schema'} & set(sys.modules))"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for _ in range(2)
    ]
    assert printed[0][:-1] == printed[1][:-1]
    assert printed[1][-1] == "set()"
