"""No secret is printed or stored, whatever happens."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from data.remote.test_reading import everything, opened
from remote_server import Server

from distillbench.api import request_run, request_sweep
from distillbench.errors import ConfigError, DataError
from distillbench.urls import find_secret, holds_secret, is_url

SECRET = "OPENSESAME"
URLS = (
    f"https://user:{SECRET}@host/folder",
    f"https://host/folder?X-Amz-Signature={SECRET}",
    f"s3://{SECRET}@bucket/folder",
    f"HTTP://host/folder#{SECRET}",
    f"https://[{SECRET}/folder?x",
)


@pytest.mark.parametrize("url", URLS)
def test_a_url_with_a_secret_is_told_from_others(url: str) -> None:
    assert is_url(url)
    assert holds_secret(url)
    assert holds_secret(["x", url])
    assert find_secret(f"data.dir={url}")


@pytest.mark.parametrize(
    "text",
    ["s3://bucket/folder", "/a/folder?x", "http://h:80/{0..9}*", "what?", "user@host", 3, None],
)
def test_other_settings_hold_none(text: object) -> None:
    assert not holds_secret(text)
    assert not find_secret(str(text))


def test_it_is_refused_before_it_is_printed_or_stored(
    command: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = URLS[0]
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(f'data = "yt8m"\nset.data.dir = {json.dumps(url)}\n')
    Path("top.toml").write_text(f"nonsense = {json.dumps(url)}\n")
    Path("grid.toml").write_text(f'[[grid]]\ndata = "yt8m"\nset.data.dir = [{json.dumps(url)}]\n')
    lines = (
        *(["run", "--data", "yt8m", "--data-dir", each] for each in URLS),
        ["run", "--set", f"data.dir={url}"],
        ["run", "--set", url],
        ["run", "--nonsense", url],
        ["run", "run.toml"],
        ["run", "top.toml"],
        ["sweep", "grid.toml"],
        ["data", "inspect", url],
        ["data", "pack", url, "out"],
        ["run", "--traceback", "--set", f"data.train={url}"],
    )
    for line in lines:
        code, out, err = command(*line)
        assert code == 2, line
        assert SECRET not in out + err
        assert "may hold a secret" in err
    assert not list(tmp_path.rglob("*.json"))


def test_it_is_refused_from_python() -> None:
    url = URLS[1]
    for request in (request_run, request_sweep):
        for given in ({"data": "yt8m", "settings": {"data.dir": url}}, {"settings": {url: "x"}}):
            with pytest.raises(ConfigError, match="may hold a secret") as raised:
                request(**given)  # type: ignore[operator]
            assert SECRET not in str(raised.value)


def test_signed_urls_come_from_the_environment_and_stay_there(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.wants = f"sig={SECRET}&x=1"
    signed = f"https://other.host/x?sig=none {server.url}/?sig={SECRET}&x=1"
    monkeypatch.setenv("DISTILLBENCH_SIGNED_URLS", signed)
    everything(opened(server.url))
    everything(opened(f"{server.url}/synthetic000{{0..1}}.tfrecord", budget=0))
    kept = [each for each in cache.rglob("*") if each.is_file()]
    assert any("index" in each.name for each in kept)
    for each in kept:
        assert SECRET not in str(each)
        assert SECRET.encode() not in each.read_bytes()
    assert SECRET not in caplog.text


def test_the_longest_signed_url_that_fits_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from distillbench.data.remote.secrets import signed_query

    monkeypatch.setenv("DISTILLBENCH_SIGNED_URLS", "http://h/a?1 http://h/a/b?2 http://h/a/b/c.x?3")
    assert signed_query("http://h/a/b/c.x") == "3"
    assert signed_query("http://h/a/b/d.x") == "2"
    assert signed_query("http://h/a/bb") == "1"
    assert signed_query("http://h.evil/a") == ""
    assert signed_query("http://h/b") == ""


def test_netrc_is_used_for_its_host(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.wants = "Basic dXNlcjpPUEVOU0VTQU1F"
    with pytest.raises(DataError, match="the server forbids it"):
        opened(server.url)
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login user password {SECRET}\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert len(opened(server.url)) == 80


@pytest.mark.parametrize("fault", ["500", "reset", "403", "slow"])
def test_errors_tell_no_secret(
    fault: str, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("DISTILLBENCH_SIGNED_URLS", f"{server.url}?sig={SECRET}")
    away = opened(server.url, budget=0)
    server.faults += [fault] * 200
    with pytest.raises(DataError) as raised:
        everything(away)
    error: BaseException | None = raised.value
    while error is not None:  # nor does anything that was raised before it
        assert SECRET not in repr(error) + str(error)
        error = error.__context__ or error.__cause__
    assert SECRET not in caplog.text
