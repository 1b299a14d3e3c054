"""Results are published without what is private, and read again from an address."""

from __future__ import annotations

import functools
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import distillbench
from distillbench.errors import ConfigError, ResultError
from distillbench.results.publishing import MANIFEST, anonymous
from distillbench.results.store import Result

Make = Callable[..., Result]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def results(make_result: Make) -> Path:
    """A folder of two methods with two seeds each."""
    for seed in (0, 1):
        make_result(schedule="scratch", seed=seed)
        made = make_result(schedule="serial", seed=seed, knows=1.4)
    return made.path.parent


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(folder))
    return folder


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where a web server offers `tmp_path`."""
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_a_published_set_has_the_same_board_with_the_same_intervals(
    results: Path, tmp_path: Path
) -> None:
    keys = distillbench.publish(tmp_path / "set", results)
    assert len(keys) == 4
    ours, theirs = (distillbench.leaderboard(each) for each in (results, tmp_path / "set"))
    assert ours.to_csv() == theirs.to_csv()
    assert theirs["gap_low"].notna().all()
    assert not list((tmp_path / "set").rglob("*.network.*"))


def test_nothing_tells_where_it_was_made(
    make_result: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "build-box-7")
    result = make_result(schedule="scratch")
    content = json.loads(result.path.read_text())
    content["setup"]["data"]["knobs"]["dir"] = "/home/ann/secret project/shards"
    content["sources"]["k"] = "/home/ann/arms.toml, teacher"
    content["warnings"] = ["build-box-7: '/home/ann/a b/x.tfrecord' was left out, see ~/log.txt"]
    result.path.write_text(json.dumps(content))
    distillbench.publish(tmp_path / "set", result.path.parent)
    text = (tmp_path / "set" / result.path.name).read_text()
    assert not [word for word in ("ann", "secret", "build-box", "a b", "~/") if word in text]
    again = json.loads(text)
    assert again["setup"]["data"]["knobs"]["dir"] == ".../shards"
    assert again["sources"]["k"] == ".../arms.toml, teacher"
    assert again["warnings"] == ["(a machine): '.../x.tfrecord' was left out, see .../log.txt"]


@pytest.mark.parametrize(
    "text",
    ["rep:0.1,ce,pred", "1/3", "a/b", "https://arxiv.org/abs/1902.10640", "s3://bucket/key", "GAP@20", "n/a", "-1e-05"],
)  # fmt: skip
def test_what_is_no_path_of_a_machine_stays(text: str) -> None:
    assert anonymous({"x": [text]}) == {"x": [text]}


@given(st.lists(st.text("abc ü.-", min_size=1).map(str.strip).filter(bool), min_size=2))
def test_only_the_last_part_of_a_path_is_left(parts: list[str]) -> None:
    assert anonymous("/" + "/".join(parts)) == f".../{parts[-1]}"
    assert anonymous("C:\\" + "\\".join(parts)) == f".../{parts[-1]}"
    assert anonymous(f"in '/{'/'.join(parts)}' it is") == f"in '.../{parts[-1]}' it is"


def test_a_set_is_read_by_its_address_and_only_changes_are_read_again(
    results: Path, tmp_path: Path, address: str, cache: Path
) -> None:
    pytest.importorskip("aiohttp")
    distillbench.publish(tmp_path / "set", results)
    board = distillbench.leaderboard(results).to_csv()
    assert distillbench.leaderboard(f"{address}/set").to_csv() == board
    kept = {path: path.stat().st_mtime_ns for path in cache.rglob("*.safetensors")}
    first = min((tmp_path / "set").glob("*.json"))
    distillbench.publish(tmp_path / "set", results)
    assert distillbench.leaderboard([f"{address}/set/"]).shape[0] == 2
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    first.unlink()
    distillbench.publish(tmp_path / "set", [_alone(results, first.name)])
    assert len(distillbench.leaderboard(f"{address}/set", each=True)) == 4


def _alone(results: Path, name: str) -> Path:
    """Copies one result to a folder of its own."""
    content = json.loads((results / name).read_text())
    folder = results.parent / "alone"
    (folder / "labels").mkdir(parents=True)
    for each in (name, content["files"]["predictions"], "labels/made-up.safetensors"):
        (folder / each).write_bytes((results / each).read_bytes())
    return folder


def test_what_was_taken_back_is_forgotten(results: Path, tmp_path: Path) -> None:
    distillbench.publish(tmp_path / "set", results)
    there = (tmp_path / "set").as_uri()
    assert len(distillbench.leaderboard(there, each=True)) == 4
    manifest = json.loads((tmp_path / "set" / MANIFEST).read_text())
    gone = next(name for name in manifest["files"] if name.endswith(".json"))
    del manifest["files"][gone]
    (tmp_path / "set" / MANIFEST).write_text(json.dumps(manifest))
    assert len(distillbench.leaderboard(there, each=True)) == 3


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda m: m["files"].update({"../x.json": {"bytes": 1, "sha256": "0" * 64}}), "names a file that no set has"),
        (lambda m: m["files"].update({"/etc/x.json": {"bytes": 1, "sha256": "0" * 64}}), "names a file that no set has"),
        (lambda m: m["files"].update({"x.json": {"bytes": -1, "sha256": "0" * 64}}), "names a file that no set has"),
        (lambda m: m["files"].update({"x.json": {"bytes": 1, "sha256": "no"}}), "names a file that no set has"),
        (lambda m: m["files"].update({"x.json": 3}), "is damaged"),
        (lambda m: m.update(files=7), "is damaged"),
        (lambda m: m.update(format=2), "has format 2"),
        (lambda m: next(iter(m["files"].values())).update(sha256="0" * 64), "is not what its published.json says"),
    ],
)  # fmt: skip
def test_a_hostile_or_damaged_set_is_refused(
    results: Path, tmp_path: Path, damage: Callable[[Any], object], said: str
) -> None:
    distillbench.publish(tmp_path / "set", results)
    manifest = json.loads((tmp_path / "set" / MANIFEST).read_text())
    damage(manifest)
    (tmp_path / "set" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ResultError, match=said):
        distillbench.leaderboard((tmp_path / "set").as_uri())


def test_an_address_without_a_set_and_one_of_no_kind_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="is no published set of results"):
        distillbench.leaderboard(tmp_path.as_uri())
    with pytest.raises(ResultError, match="cannot be read"):
        distillbench.leaderboard("nosuchprotocol://x/y")


def test_a_password_in_an_address_is_not_shown() -> None:
    pytest.importorskip("aiohttp")
    with pytest.raises(ResultError) as raised:
        distillbench.leaderboard("http://ann:hunter2@127.0.0.1:9/set?token=abc")
    assert "hunter2" not in str(raised.value)
    assert "abc" not in str(raised.value)


def test_a_damaged_result_is_left_out_and_named(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = min(results.glob("*.predictions.safetensors"))
    victim.write_bytes(b"no")
    told: list[str] = []
    assert len(distillbench.publish(tmp_path / "set", results, warn=told.append)) == 3
    assert victim.name in told[0]
    for each in results.glob("*.predictions.safetensors"):
        each.write_bytes(b"no")
    with pytest.raises(ConfigError, match="none of 4 results can be published"):
        distillbench.publish(tmp_path / "other", results, warn=told.append)


def test_the_command_writes_a_card_and_a_table(
    command: Command, results: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    code, said, _ = command(
        "publish", results, "--out", out, "--title", "a: [b] <i>", "--no-labels"
    )
    assert (code, said.split()[0]) == (0, "4")
    card = (out / "README.md").read_text()
    assert card.startswith("---\ntags: ")
    assert "hrnn serial" in card
    assert "<i>" not in card
    assert (out / "board.csv").read_text().startswith("run,data,")
    assert not list(out.glob("labels/*"))
    assert "0.9" in command("leaderboard", out)[1]
    assert command("publish", results, "--out", results)[0] == 2
