"""The page that follows results: who may read it, and when it is made anew."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from running import metrics

from distillbench.errors import ConfigError, ResultError
from distillbench.page import site
from distillbench.page.server import Followed, PageServer
from distillbench.results.store import Result

MakeResult = Callable[..., Result]


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def server(
    make_result: MakeResult, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[PageServer]:
    monkeypatch.setattr(site, "chart_library", lambda: "/* charts */")
    folder = make_result(schedule="scratch").path.parent
    with PageServer(Followed([folder], metrics(), told.append), 0) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def asked(server: PageServer, path: str, **headers: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", path, headers=named)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_it_serves_the_page_and_its_data(server: PageServer) -> None:
    answer, page = asked(server, "/")
    assert answer.status == 200
    assert b"<title>distillbench results</title>" in page
    answer, board = asked(server, "/board.json")
    assert answer.headers["Content-Type"].startswith("application/json")
    assert json.loads(board)["runs"] == 1
    answer, told_of = asked(server, "/details.json")
    assert len(json.loads(told_of)["runs"]) == 1


def test_what_did_not_change_is_not_sent_again(server: PageServer, make_result: MakeResult) -> None:
    answer, _ = asked(server, "/board.json")
    tag = answer.headers["ETag"]
    answer, nothing = asked(server, "/board.json", If_None_Match=tag)
    assert (answer.status, nothing) == (304, b"")
    make_result(schedule="serial")
    answer, board = asked(server, "/board.json", If_None_Match=tag)
    assert answer.status == 200
    assert answer.headers["ETag"] != tag
    assert json.loads(board)["runs"] == 2


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", ""],
)
def test_another_name_for_this_machine_reads_nothing(server: PageServer, host: str) -> None:
    for path in ("/", "/board.json"):
        answer, content = asked(server, path, Host=host.format(port=server.server_port))
        assert answer.status == 403
        assert b"gap" not in content


def test_it_is_bound_to_this_machine_alone(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    answer, _ = asked(server, "/", Host=f"localhost:{server.server_port}")
    assert answer.status == 200


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/board", "/details.json/x", "/page.js"])
def test_nothing_else_is_served(server: PageServer, path: str) -> None:
    assert asked(server, path)[0].status == 404


def test_a_damaged_file_is_told_once_and_the_rest_is_shown(
    server: PageServer, told: list[str], tmp_path: Path
) -> None:
    (tmp_path / "results" / "broken.json").write_text("{")
    for _ in range(2):
        _, board = asked(server, "/board.json")
        assert json.loads(board)["skipped"] == 1
    assert [line for line in told if "broken.json" in line] == told


def test_a_folder_that_went_away_leaves_what_was_read(
    server: PageServer, told: list[str], tmp_path: Path
) -> None:
    (tmp_path / "results").rename(tmp_path / "elsewhere")
    answer, board = asked(server, "/board.json")
    assert answer.status == 200
    assert json.loads(board)["runs"] == 1
    assert any("there is no folder of results" in line for line in told)


def test_a_folder_that_is_still_empty_is_waited_for(tmp_path: Path) -> None:
    followed = Followed([tmp_path], metrics(), pytest.fail)
    assert json.loads(followed.part("board")[0])["rows"] == []
    assert json.loads(followed.part("details")[0])["runs"] == {}
    with pytest.raises(ResultError, match="there is no folder"):
        Followed([tmp_path / "nowhere"], metrics(), pytest.fail)


def test_a_port_that_is_taken_is_a_clear_error(server: PageServer) -> None:
    with pytest.raises(ConfigError, match="--port names another"):
        PageServer(server.followed, server.server_port)


@pytest.mark.slow
def test_ctrl_c_ends_the_command(make_result: MakeResult) -> None:
    folder = make_result(schedule="scratch").path.parent
    command = [sys.executable, "-u", "-m", "distillbench", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/ shows these results until Ctrl-C\n", line)
        os.kill(running.pid, signal.SIGINT)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 0
    assert err == "\nstopped\n"
