"""A local copy of the layout that YouTube-8M is published in, fetched from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from remote_server import Server

from distillbench.data.remote import connection, download
from distillbench.data.remote.connection import Patience
from distillbench.data.remote.download import fetch, part_of
from distillbench.errors import DataError
from distillbench.interfaces import PublishedFile
from distillbench.storage import held

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_PART", 1000)


def publish(folder: Path, count: int = 6, mirror: str = "us") -> dict[str, bytes]:
    """Writes shards and their plan as Google's buckets have them."""
    files = {
        f"train{number:02d}.tfrecord": bytes([number]) * (2500 + number) for number in range(count)
    }
    place = folder / f"{mirror}.data.yt8m.org" / "2" / "frame" / "train"
    place.mkdir(parents=True)
    for name, data in files.items():
        (place / name).write_bytes(data)
    plan = folder / "data.yt8m.org" / "2" / "download_plans" / "frame_train.json"
    plan.parent.mkdir(parents=True, exist_ok=True)
    sums = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
    plan.write_text(json.dumps({"files": sums}))
    return files


def there(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()} if folder.is_dir() else {}


@pytest.fixture
def fetching(command: Command, own: Server, tmp_path: Path) -> Command:
    def call(*more: object) -> tuple[int, str, str]:
        to = tmp_path / "to"
        return command(
            "data", "fetch", "yt8m", "--split", "train", "--to", to, "--from", own.url, *more
        )

    return call


def test_a_split_is_fetched_whole_and_checked(
    fetching: Command, own: Server, tmp_path: Path
) -> None:
    files = publish(own.folder)
    code, out, err = fetching()
    assert code == 0, err
    assert there(tmp_path / "to") == files
    assert f"6 files in {tmp_path / 'to'}" in out
    assert "15,015 bytes fetched; 6 files checked by their MD5" in out
    own.requests.clear()
    code, out, _ = fetching()
    assert "6 of them from before" in out
    assert "0 bytes fetched" in out
    assert {path for _, path, _ in own.requests} == {
        "/data.yt8m.org/2/download_plans/frame_train.json"
    }


def test_parts_are_those_of_googles_script(fetching: Command, own: Server, tmp_path: Path) -> None:
    files = publish(own.folder, 20)
    code, _, err = fetching("--shards", "2/3")
    assert code == 0, err
    number = {name: int(hashlib.md5(name.encode()).hexdigest(), 16) % 3 for name in files}
    assert set(there(tmp_path / "to")) == {name for name in files if number[name] == 1}
    every = [PublishedFile(name, "") for name in files]
    parts = [each.name for part in (1, 2, 3) for each in part_of(every, part, 3)]
    assert sorted(parts) == sorted(files)


def test_another_mirror_is_another_bucket(fetching: Command, own: Server, tmp_path: Path) -> None:
    files = publish(own.folder, mirror="asia")
    assert fetching()[0] == 2
    assert fetching("--mirror", "asia")[0] == 0
    assert there(tmp_path / "to") == files


@pytest.mark.parametrize("fault", ["500", "reset", "truncated"])
def test_failures_on_the_way_are_tried_again(
    fault: str, fetching: Command, own: Server, tmp_path: Path
) -> None:
    files = publish(own.folder)
    own.faults += ["", fault, "", fault, fault]
    assert fetching()[0] == 0
    assert there(tmp_path / "to") == files


def test_what_was_begun_goes_on_where_it_was(
    fetching: Command, own: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = publish(own.folder, 1)
    monkeypatch.setattr(connection, "PATIENCE", Patience(1, 0, 0, timeout=1.0))
    own.faults += ["", "", "500"]  # the plan, the first part of the shard, and its second
    code, _, err = fetching()
    assert code == 2
    assert (
        "train00.tfrecord: cannot be read: the server answered with status 500; tried 1 times"
        in err
    )
    ((name, begun),) = there(tmp_path / "to").items()
    assert name.startswith(".train00.tfrecord.")
    assert len(begun) == 1000
    own.requests.clear()
    code, out, _ = fetching()
    assert code == 0
    assert "1,500 bytes fetched" in out
    assert [each for _, path, each in own.requests if "frame/train" in path and each] == [
        "bytes=1000-1999",
        "bytes=2000-2499",
    ]
    assert there(tmp_path / "to") == files


def test_files_that_others_failures_stop_go_on_too(
    own: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(range(250)) * 200  # fifty parts
    sums = {"a": "0" * 32, "b": hashlib.md5(data).hexdigest()}
    (own.folder / "a").write_bytes(b"x")
    (own.folder / "b").write_bytes(data)
    files = [PublishedFile(name, f"{own.url}/{name}", each) for name, each in sums.items()]
    monkeypatch.setattr(connection, "PATIENCE", Patience(1, 0, 0, timeout=5.0))
    own.delay = 0.01
    (own.folder / "a").write_bytes(b"x" * 5000)
    with monkeypatch.context() as patched:
        read = connection.Connection.read

        def failing(self: connection.Connection, key: str, start: int, stop: int) -> memoryview:
            if key == "a" and start == 4000:
                raise DataError("no more")
            return read(self, key, start, stop)

        patched.setattr(connection.Connection, "read", failing)
        with pytest.raises(DataError, match="no more"):
            fetch(files, tmp_path)
    begun = {each.name[1]: each.stat().st_size for each in tmp_path.iterdir()}
    assert begun["a"] == 4000
    assert 0 < begun["b"] < len(data)
    assert fetch(files[1:], tmp_path).size == len(data) - begun["b"]


def test_a_part_of_another_version_is_not_gone_on_with(
    fetching: Command, own: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(own.folder, 1)
    with monkeypatch.context() as patched:
        patched.setattr(connection, "PATIENCE", Patience(1, 0, 0, timeout=1.0))
        own.faults += ["", "", "500"]
        fetching()
    place = own.folder / "us.data.yt8m.org" / "2" / "frame" / "train" / "train00.tfrecord"
    place.write_bytes(b"other" * 500)
    plan = own.folder / "data.yt8m.org" / "2" / "download_plans" / "frame_train.json"
    plan.write_text(json.dumps({"files": {place.name: hashlib.md5(b"other" * 500).hexdigest()}}))
    assert fetching()[0] == 0
    assert there(tmp_path / "to") == {place.name: b"other" * 500}


def test_bytes_that_are_not_those_published_are_no_file(
    fetching: Command, own: Server, tmp_path: Path
) -> None:
    files = publish(own.folder)
    place = own.folder / "us.data.yt8m.org" / "2" / "frame" / "train" / "train02.tfrecord"
    place.write_bytes(b"damaged")
    code, _, err = fetching()
    assert code == 2
    assert "1 of 6 files are not what was published: train02.tfrecord has the MD5" in err
    files.pop("train02.tfrecord")
    assert there(tmp_path / "to") == files  # all others are there


def test_a_damaged_file_that_is_there_is_fetched_again(
    fetching: Command, own: Server, tmp_path: Path
) -> None:
    files = publish(own.folder)
    fetching()
    (tmp_path / "to" / "train01.tfrecord").write_bytes(b"cut short")
    _, out, _ = fetching()
    assert "5 of them from before" in out
    assert there(tmp_path / "to") == files


def test_files_without_a_checksum_are_told_by_their_size(own: Server, tmp_path: Path) -> None:
    (own.folder / "a.bin").write_bytes(b"x" * 3000)
    files = [PublishedFile("a.bin", f"{own.url}/a.bin")]
    assert fetch(files, tmp_path).size == 3000
    assert fetch(files, tmp_path).there == 1
    (tmp_path / "a.bin").write_bytes(b"x")
    assert fetch(files, tmp_path).size == 3000


@pytest.mark.parametrize("name", ["../up", "/etc/x", "a/b", ".hidden", "", "a\\b", "a\nb"])
def test_a_name_leads_nowhere_but_into_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not that of a file in a folder"):
        fetch([PublishedFile(name, "http://127.0.0.1:9/x")], tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_file_twice_and_a_checksum_that_is_none_are_errors(tmp_path: Path) -> None:
    one = PublishedFile("a", "http://127.0.0.1:9/a")
    with pytest.raises(DataError, match="published twice"):
        fetch([one, one], tmp_path)
    with pytest.raises(DataError, match="an MD5 that is none"):
        fetch([PublishedFile("a", "http://127.0.0.1:9/a", "beef")], tmp_path)


def test_two_commands_do_not_fetch_into_one_folder(own: Server, tmp_path: Path) -> None:
    here = held(tmp_path, AssertionError())
    with here, pytest.raises(DataError, match="another command is fetching"):
        fetch([PublishedFile("a", f"{own.url}/a")], tmp_path)


def test_a_disk_without_room_is_told_before_anything_is_fetched(
    own: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own.folder / "a.bin").write_bytes(b"x" * 3000)
    usage = download.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage._replace(free=2999))
    with pytest.raises(
        DataError, match="3,000 bytes are to be fetched, and its disk has room for 2,999"
    ):
        fetch([PublishedFile("a.bin", f"{own.url}/a.bin")], tmp_path)
    assert not own.of_files()


@pytest.mark.parametrize(
    "plan", ["[]", "{}", '{"files": 7}', '{"files": {"a": 7}}', "<html>", "[" * 9999]
)
def test_a_list_of_files_that_is_none_is_an_error(
    plan: str, fetching: Command, own: Server
) -> None:
    publish(own.folder)
    (own.folder / "data.yt8m.org" / "2" / "download_plans" / "frame_train.json").write_text(plan)
    code, _, err = fetching()
    assert code == 2
    assert "frame_train.json: this is no list of files and their MD5" in err


def test_what_cannot_be_fetched_says_so(
    fetching: Command, command: Command, tmp_path: Path
) -> None:
    code, _, err = fetching("--split", "trian", "--mirror", "moon")
    assert code == 2
    assert "there is no split 'trian' of yt8m; there are: train, validate, test" in err
    assert "there is no mirror 'moon' of yt8m; there are: us, eu, asia" in err
    for shards in ("0/3", "4/3", "1", "a/b", "-1/2"):
        code, _, err = fetching("--shards", shards)
        assert (code, "--shards takes a part" in err) == (2, True)
    code, _, err = command("data", "fetch", "digits", "--split", "train", "--to", tmp_path)
    assert "the files of 'digits' cannot be fetched" in err
    code, _, err = command("data", "fetch", "nothing", "--split", "train", "--to", tmp_path)
    assert (code, "nothing" in err) == (2, True)
