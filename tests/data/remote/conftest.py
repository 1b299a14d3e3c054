"""Fixtures for tests of data by URL: shards, the same behind a server, and little patience."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from remote_server import Server, serving

from distillbench.data import Recipe, write_synthetic
from distillbench.data.remote import connection
from distillbench.data.remote.connection import Patience

TRIES = 3


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Needs the library, waits for nothing, and knows nobody's credentials."""
    pytest.importorskip("obstore")
    monkeypatch.setattr(connection, "PATIENCE", Patience(TRIES, 0.001, 0.001, timeout=0.4))
    for name in ("DISTILLBENCH_SIGNED_URLS", "NETRC", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards of 40 videos each, with names of classes."""
    folder = tmp_path_factory.mktemp("shards")
    recipe = Recipe(videos=80, widths={"rgb": 61, "audio": 7}, longest=40, classes=5)
    write_synthetic(folder, recipe, shards=2)
    rows = "".join(f"{number},class {number}\n" for number in range(5))
    (folder / "vocabulary.csv").write_text(f"index,name\n{rows}")
    return folder


@pytest.fixture
def server(shards: Path) -> Iterator[Server]:
    with serving(shards) as found:
        yield found


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """Serves a folder of this test's own."""
    folder = tmp_path / "served"
    folder.mkdir()
    with serving(folder) as found:
        yield found
