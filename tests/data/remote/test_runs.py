"""Runs over shards by URL find what runs over the folder find."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from remote_server import Server

_MEASURED = {"seconds", "seconds_of_this_run", "evaluation_seconds", "latency"}
_NAMED = {"id", "finished", "files", "dir", "load"}
SETTINGS = {"epochs": 1, "batch-size": 16, "k": 4, "threads": 1}


def numbers(content: Any) -> Any:
    """What a result says but for clocks and names."""
    if isinstance(content, dict):
        left_out = _MEASURED | _NAMED
        return {name: numbers(each) for name, each in content.items() if name not in left_out}
    return [numbers(each) for each in content] if isinstance(content, list) else content


@pytest.fixture
def run(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    def call(verb: str, where: str, results: str, *more: str) -> tuple[int, str, str]:
        flags = [word for name, each in SETTINGS.items() for word in (f"--{name}", each)]
        sizes = [word for net in ("teacher", "student") for word in ("--set", f"{net}.cell_size=4")]
        data = ["--data", "yt8m", "--data-dir", where]
        return command(verb, *data, *flags, *sizes, "--results", tmp_path / results, *more)

    return call


def result(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_a_run_finds_the_same_numbers(
    run: Callable[..., tuple[int, str, str]], server: Server, shards: Path, tmp_path: Path
) -> None:
    assert run("run", str(shards), "here")[0] == 0
    blocks = tmp_path / "blocks"
    assert run("run", server.url, "away", "--cache-dir", str(blocks))[0] == 0
    here, away = result(tmp_path / "here"), result(tmp_path / "away")
    assert numbers(here) == numbers(away)
    assert here["metrics"] == away["metrics"]
    assert len([each for each in blocks.rglob("*-*") if each.is_file()]) == 2
    assert server.of_files()


@pytest.mark.slow
def test_a_run_whose_server_goes_away_goes_on_when_it_is_back(
    run: Callable[..., tuple[int, str, str]], server: Server, shards: Path, tmp_path: Path
) -> None:
    short = ["--schedule", "scratch", "--epochs", "2"]
    assert run("run", str(shards), "here", *short)[0] == 0
    server.gone_after = 18  # in the second epoch
    code, _, err = run("run", server.url, "away", *short, "--cache-budget", "0")
    assert code == 2, err
    assert "cannot be read: the connection was reset; tried 3 times" in err
    assert "the same command goes on from there" in err
    assert list((tmp_path / "away" / "checkpoints").iterdir())
    server.gone_after = 10**9
    code, _, err = run("run", server.url, "away", *short, "--cache-budget", "0")
    assert code == 0, err
    assert numbers(result(tmp_path / "away")) == numbers(result(tmp_path / "here"))


def test_a_run_without_a_server_says_what_to_do(
    run: Callable[..., tuple[int, str, str]],
) -> None:
    code, _, err = run("run", "http://127.0.0.1:9/folder", "none")
    assert code == 2
    assert "http://127.0.0.1:9/folder" in err
    assert "nothing answers there (connection refused); tried 3 times" in err


def test_data_commands_take_urls(
    command: Callable[..., tuple[int, str, str]], server: Server, tmp_path: Path
) -> None:
    code, out, err = command("data", "inspect", server.url)
    assert (code, err) == (0, "")
    assert "synthetic0001.tfrecord" in out
    assert "1 file of another kind (.csv)" in out
    code, out, _ = command(
        "data", "split", "--data", "yt8m", "--data-dir", server.url, "--to", tmp_path / "ids"
    )
    assert code == 0
    assert (
        sum(
            len((tmp_path / "ids" / f"{name}.txt").read_text().splitlines())
            for name in ("train", "validation", "test")
        )
        == 80
    )
    code, out, _ = command("data", "pack", server.url, tmp_path / "packed", "--data", "yt8m")
    assert code == 0
    assert (tmp_path / "packed" / "packed.json").is_file()


def test_other_formats_say_that_they_are_read_from_files(
    command: Callable[..., tuple[int, str, str]], server: Server
) -> None:
    code, _, err = command("data", "inspect", server.url, "--data", "npy")
    assert code == 2
    assert "only shards are read by URL" in err
