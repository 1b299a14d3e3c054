"""`wandb` writes runs, offline, that hold what was logged."""

from __future__ import annotations

import json
import struct
import sys

import pytest

_BLOCK = 32768
_ENDS = (1, 4)
"""The kinds of a record that is whole, and of a record's last part."""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Keeps W&B's own files in the test's folder."""
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "home"))


@pytest.fixture
def observed(command, tiny, tmp_path, home):
    """Makes a run that the observer hears of, and returns what went to standard error."""

    def run(*words):
        asked = ["--observe", "wandb", "--results", tmp_path, *words]
        code, _, err = command("run", *tiny, *asked)
        assert code == 0, err
        return err

    return run


def records(path):
    """Reads an offline run: W&B's own messages, in the blocks of a LevelDB log after 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, whole, found = path.read_bytes(), 7, b"", []
    while at < len(content):
        left = _BLOCK - at % _BLOCK
        if left < 7:  # too little for a header
            at += left
            continue
        _, size, kind = struct.unpack_from("<IHB", content, at)
        whole += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in _ENDS:
            found.append(Record.FromString(whole))
            whole = b""
    return found


def values_of(items):
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


@pytest.mark.filterwarnings("ignore")
def test_an_offline_run_holds_the_settings_every_epoch_and_the_test_metrics(observed, tmp_path):
    pytest.importorskip("wandb", reason="wandb absent: pip install 'distillbench[wandb]'")
    assert "failed and gets no more events" not in observed("--schedule", "serial")
    (path,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    (result,) = tmp_path.glob("*.json")
    stored = json.loads(result.read_text(encoding="utf-8"))
    found = records(path)
    (run,) = [record.run for record in found if record.WhichOneof("record_type") == "run"]
    assert (run.project, run.display_name) == ("distillbench", stored["id"])
    settings = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert settings["schedule"]["name"] == "serial"
    lines = [values_of(record.history.item) for record in found if record.HasField("history")]
    assert [(line["phase"], line["epoch"]) for line in lines] == [
        (phase, epoch) for phase in ("teacher", "student") for epoch in (1, 2)
    ]
    learnt = stored["history"][-1]["networks"]["student"]
    assert lines[-1]["student/student.rep"] == learnt["terms"]["rep"]
    assert lines[-1]["student/student.gap"] == learnt["validation"]["gap"]
    summary = {}
    for record in found:
        if record.HasField("summary"):
            summary |= values_of(record.summary.update)
    assert summary["test/gap"] == stored["metrics"]["gap"]
    assert [record.exit.exit_code for record in found if record.HasField("exit")] == [0]


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_failed_is_closed_as_failed_when_the_next_one_starts(home, tmp_path):
    pytest.importorskip("wandb", reason="wandb absent: pip install 'distillbench[wandb]'")
    from distillbench.interfaces import RunEnded, RunStarted
    from distillbench_plugins.observers import wandb

    failed, whole = (RunStarted(key, {"seed": 0}, tmp_path) for key in ("failed", "whole"))
    wandb.run_started(failed)
    wandb.run_started(whole)
    wandb.run_ended(RunEnded("whole", {"metrics": {"gap": 0.5, "map": None}}))
    codes = {}
    for path in tmp_path.glob("wandb/offline-run-*/*.wandb"):
        found = records(path)
        (name,) = {record.run.display_name for record in found if record.HasField("run")}
        (codes[name],) = (each.exit.exit_code for each in found if each.HasField("exit"))
    assert codes == {"failed": 1, "whole": 0}


def test_without_wandb_the_run_goes_on_and_says_what_to_install(observed, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    err = observed("--schedule", "scratch")
    assert err.count("the observer 'wandb' failed and gets no more events") == 1
    assert "pip install 'distillbench[wandb]'" in " ".join(err.split())
