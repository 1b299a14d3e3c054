"""`trackio` logs runs into a database that holds what was logged, and sends nothing."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections import defaultdict
from contextlib import closing

import pytest


@pytest.fixture
def library(monkeypatch, tmp_path):
    """Trackio with a folder of this test's own, which it otherwise takes once for all."""
    for name in ("TRACKIO_PROJECT", "TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    loaded = {name for name in sys.modules if name.split(".")[0] == "trackio"}
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)
    yield pytest.importorskip(
        "trackio", reason="trackio absent: pip install 'distillbench[trackio]'"
    )
    for name in [name for name in sys.modules if name.split(".")[0] == "trackio"]:
        del sys.modules[name]


@pytest.fixture
def observed(command, tiny, tmp_path):
    """Makes a run that the observer hears of; returns what went to standard output and error."""

    def run(*words):
        asked = ["--observe", "trackio", "--results", tmp_path / "results", *words]
        code, out, err = command("run", *tiny, *asked)
        assert code == 0, err
        return out, err

    return run


def stored(folder, table, column):
    """Reads Trackio's database: what each of its runs has in a table, in order, and its name."""
    found = defaultdict(list)
    with closing(sqlite3.connect(folder / "trackio" / "distillbench.db")) as database:
        step = "step" if table == "metrics" else "0"
        for key, name, at, value in database.execute(
            f"select run_id, run_name, {step}, {column} from {table} order by id"
        ):
            found[key, name].append((at, json.loads(value)))
    return dict(found)


@pytest.mark.filterwarnings("ignore")
def test_the_database_holds_the_settings_every_epoch_and_the_test_metrics(
    library, observed, tmp_path
):
    out, err = observed("--schedule", "serial")
    assert "failed and gets no more events" not in err
    assert "rackio" not in out + err
    (path,) = (tmp_path / "results").glob("*.json")
    result = json.loads(path.read_text(encoding="utf-8"))
    ((key, name),) = stored(tmp_path, "configs", "config")
    assert name == result["id"]
    (settings,) = stored(tmp_path, "configs", "config")[key, name]
    assert settings[1]["schedule"]["name"] == "serial"
    *lines, last = stored(tmp_path, "metrics", "metrics")[key, name]
    assert [(step, line["phase"], line["epoch"]) for step, line in lines] == [
        (1, "teacher", 1),
        (2, "teacher", 2),
        (3, "student", 1),
        (4, "student", 2),
    ]
    learnt = result["history"][-1]["networks"]["student"]
    assert lines[-1][1]["student/student.rep"] == pytest.approx(learnt["terms"]["rep"])
    assert lines[-1][1]["student/student.gap"] == pytest.approx(learnt["validation"]["gap"])
    assert last[0] == 4
    assert last[1]["test/gap"] == pytest.approx(result["metrics"]["gap"])


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_is_made_again_is_another_run_of_the_same_name(library, observed, tmp_path):
    observed("--schedule", "scratch")
    observed("--schedule", "scratch", "--again")
    found = stored(tmp_path, "metrics", "metrics")
    assert len({name for _, name in found}) == 1
    assert [len(lines) for lines in found.values()] == [3, 3]


@pytest.mark.filterwarnings("ignore")
def test_nothing_is_left_to_be_closed_and_told_when_the_program_ends(library, observed, capsys):
    observed("--schedule", "scratch")
    library._cleanup_current_run()
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_failed_is_closed_when_the_next_one_starts(library, tmp_path):
    from distillbench.interfaces import RunEnded, RunStarted
    from distillbench_plugins.observers import trackio

    failed, whole = (RunStarted(key, {"seed": 0}, tmp_path) for key in ("failed", "whole"))
    trackio.run_started(failed)
    trackio.run_started(whole)
    assert list(trackio._open) == ["whole"]
    trackio.run_ended(
        whole, RunEnded("whole", {"metrics": {"gap": 0.5, "map": None}, "history": []})
    )
    assert trackio._open == {}
    ((_, name),) = found = stored(tmp_path, "metrics", "metrics")
    assert name == "whole"
    assert list(found.values()) == [[(0, {"test/gap": 0.5})]]


def test_without_trackio_the_run_goes_on_and_says_what_to_install(observed, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    _, err = observed("--schedule", "scratch")
    assert err.count("the observer 'trackio' failed and gets no more events") == 1
    assert "pip install 'distillbench[trackio]'" in " ".join(err.split())
