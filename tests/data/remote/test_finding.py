from __future__ import annotations

from pathlib import Path

import pytest
from data.remote.test_reading import credentials
from remote_server import Server

from distillbench.data import find_shards
from distillbench.data.places import files_below, name_within, place_of, within
from distillbench.errors import DataError

FILES = (
    "a/x1.tfrecord",
    "a/x2.tfrecord",
    "a/b/y1.tfrecord",
    "a/.hidden.tfrecord",
    "a/notes.txt",
    "z w#%.tfrecord",
)


@pytest.fixture(params=["http", "s3"])
def url(
    request: pytest.FixtureRequest, own: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    for name in FILES:
        path = own.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"something")
    credentials(own, monkeypatch, tmp_path)
    return own.url if request.param == "http" else "s3://bucket"


def names(url: str, pattern: str) -> list[str]:
    return [each.key for each in find_shards(f"{url}{pattern}")]  # type: ignore[union-attr]


def test_a_folder_is_every_shard_in_it_at_any_depth(url: str) -> None:
    assert names(url, "/a/") == ["a/b/y1.tfrecord", "a/x1.tfrecord", "a/x2.tfrecord"]
    assert names(url, "") == [*names(url, "/a"), "z w#%.tfrecord"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/a/*.tfrecord", ["a/x1.tfrecord", "a/x2.tfrecord"]),
        ("/a/x[2-9]*", ["a/x2.tfrecord"]),
        ("/**/y*.tfrecord", ["a/b/y1.tfrecord"]),
        ("/*/*/*", ["a/b/y1.tfrecord"]),
        ("/a/{x,y}*", []),
        ("/a/x1.tfrecord", ["a/x1.tfrecord"]),
        ("/a/x{1..2}.tfrecord", ["a/x1.tfrecord", "a/x2.tfrecord"]),
        ("/a/{0..1}{08..10}", [f"a/{a}{b}" for a in (0, 1) for b in ("08", "09", "10")]),
    ],
)
def test_patterns_are_those_of_a_shell(pattern: str, found: list[str], url: str) -> None:
    if found:
        assert names(url, pattern) == found
    else:
        with pytest.raises(DataError, match="no file matches it as a pattern"):
            names(url, pattern)


def test_what_is_not_there_is_an_error(url: str) -> None:
    with pytest.raises(DataError, match="nowhere"):
        names(url, "/nowhere")
    with pytest.raises(DataError, match=r"/nowhere.tfrecord: (there is )?no such file"):
        names(url, "/nowhere.tfrecord")
    with pytest.raises(DataError, match="more numbers than there are shards"):
        names(url, "/{0..9999999}")
    with pytest.raises(DataError, match=r"has '\.' or '\.\.' in it"):
        names(url, "/a/../z")


def test_a_server_that_lists_nothing_wants_numbers(own: Server) -> None:
    own.lists = False
    (own.folder / "x01.tfrecord").write_bytes(b"1")
    with pytest.raises(DataError, match=r"no page that lists this folder .*; name the shards"):
        find_shards(own.url)
    (only,) = find_shards(f"{own.url}/x{{01..01}}.tfrecord")
    assert str(only) == f"{own.url}/x01.tfrecord"


def test_files_are_called_by_their_names_below_the_folder(url: str) -> None:
    folder = place_of(f"{url}/a")
    assert [name_within(each, folder) for each in files_below(folder)] == [
        "b/y1.tfrecord",
        "notes.txt",
        "x1.tfrecord",
        "x2.tfrecord",
    ]


def test_a_pattern_begins_in_the_folder_unless_it_is_a_url() -> None:
    assert within("s3://b/f/", "train*") == "s3://b/f/train*"
    assert within("here", "https://h/x") == "https://h/x"
    assert within("here", "train*") == "here/train*"
    assert within("", "train*") == "train*"


@pytest.mark.parametrize(
    "text", ["s3://", "https:///x", "gs://", "http://h:99999/x", "http://h:0x/y"]
)
def test_a_url_without_a_server_is_an_error(text: str) -> None:
    with pytest.raises(DataError, match="names no server or bucket"):
        place_of(text)
