"""The file that a page is: whole, safe whatever results are called, and never in another's place."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import metrics

from distillbench.errors import ResultError
from distillbench.page import site
from distillbench.page.content import Content, found_in
from distillbench.page.site import live_page, page_of, write_site
from distillbench.results.store import Result

HOSTILE = "</script><script>alert(1)</script>'\"&\u2028\u2029<img src=x onerror=alert(1)>"
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the charts out: to join their library takes seconds."""
    monkeypatch.setattr(site, "chart_library", lambda: "/* charts */")


@pytest.fixture
def folder(make_result: Callable[..., Result]) -> Path:
    result = make_result(schedule="serial")
    result.content["setup"]["schedule"]["name"] = HOSTILE
    result.content["warnings"].append(HOSTILE)
    result.path.write_text(json.dumps(result.content))
    return result.path.parent


def content_of(folder: Path, title: str = "a title") -> Content:
    return Content(found_in([folder], metrics(), pytest.fail), lambda _: None, title)


def packed(page: str, name: str) -> Any:
    (found,) = re.findall(rf'<script id="data-{name}" [^>]*>([^<]*)</script>', page)
    return json.loads(gzip.decompress(base64.b64decode(found)))


def test_all_that_is_said_is_in_the_page(folder: Path) -> None:
    content = content_of(folder)
    page = page_of(content)
    assert packed(page, "board") == json.loads(json.dumps(content.board))
    assert packed(page, "details") == json.loads(json.dumps(content.details))


def test_names_from_results_are_never_markup(folder: Path) -> None:
    page = page_of(content_of(folder, title=HOSTILE))
    assert "alert(1)</script>" not in page
    assert "<img src=x" not in page
    assert page.count("<script") == page.count("</script>") == 4
    assert packed(page, "board")["rows"][0]["method"].startswith(HOSTILE)


def test_a_pages_policy_lets_run_its_own_scripts_alone(folder: Path) -> None:
    page = page_of(content_of(folder))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    directives = dict(each.split(" ", 1) for each in html.unescape(policy).split("; "))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    hashes = {base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in scripts}
    assert set(directives["script-src"].split()) == {f"'sha256-{each}'" for each in hashes}
    assert directives["default-src"] == directives["connect-src"] == "'none'"


def test_a_page_names_no_address_that_a_browser_would_ask(folder: Path) -> None:
    page = page_of(content_of(folder))
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    assert not re.findall(r"""\burl\(|@import""", page)


def test_a_live_page_asks_the_server_that_it_came_from_alone() -> None:
    page = live_page("a & b")
    assert "data-board" not in re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert "connect-src &#x27;self&#x27;" in page
    assert "<title>a &amp; b</title>" in page


def test_a_script_that_would_end_its_element_is_not_written() -> None:
    with pytest.raises(ValueError, match="</script"):
        site._in_script("'</SCRIPT>'")


def test_other_files_stay_and_a_page_is_replaced(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    first = write_site(content_of(folder, "one"), out)
    assert write_site(content_of(folder, "two"), out) == first == out / "index.html"
    assert "<title>two</title>" in first.read_text()
    assert {path.name for path in out.iterdir()} == {"mine.txt", "index.html"}


def test_a_page_that_somebody_else_made_is_never_replaced(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>my home page</h1>")
    with pytest.raises(ResultError, match="was not made by distillbench page"):
        write_site(content_of(folder), tmp_path)
    assert (tmp_path / "index.html").read_text() == "<h1>my home page</h1>"


def test_the_command_writes_a_page_and_says_where(
    folder: Path, tmp_path: Path, command: Command
) -> None:
    code, out, err = command("page", folder, "--out", tmp_path / "site", "--title", "Ours")
    assert (code, err) == (0, "")
    assert out.startswith(f"{tmp_path / 'site' / 'index.html'}: 1 runs, ")
    assert "<h1>Ours</h1>" in (tmp_path / "site" / "index.html").read_text()


def test_the_command_opens_the_page_that_it_wrote(
    folder: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("typer.launch", opened.append)
    code, _, _ = command("page", folder, "--out", tmp_path / "a site", "--open")
    assert code == 0
    assert opened == [(tmp_path / "a site" / "index.html").as_uri()]


def test_the_command_refuses_what_the_leaderboard_does(tmp_path: Path, command: Command) -> None:
    code, _, err = command("page", tmp_path / "nowhere", "--out", tmp_path / "site")
    assert code == 2
    assert "there is no folder of results" in err
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "broken.json").write_text("{")
    code, _, err = command("page", tmp_path / "empty", "--out", tmp_path / "site")
    assert code == 2
    assert "but 1 damaged file" in err
    assert not (tmp_path / "site").exists()


def test_an_out_that_is_a_file_is_refused_and_kept(
    folder: Path, tmp_path: Path, command: Command
) -> None:
    (tmp_path / "taken").write_text("mine")
    code, _, err = command("page", folder, "--out", tmp_path / "taken")
    assert code == 2
    assert "cannot be written" in err
    assert (tmp_path / "taken").read_text() == "mine"
