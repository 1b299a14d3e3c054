"""Damaged results among good ones: they are named, and everything else goes on."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from results.damage import (
    a_folder,
    changed,
    dangling,
    loop,
    pipe,
    replaced,
    results_of,
    utf_16,
    written,
)
from running import installed, run_experiment

from distillbench.analysis.loading import load
from distillbench.config.run_spec import RunSpec
from distillbench.errors import ResultError
from distillbench.experiments.context import RunContext
from distillbench.experiments.plan import plan
from distillbench.reports.runs import StoredRuns, networks_with

Command = Callable[..., tuple[int, str, str]]


DAMAGED_RESULTS: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "a formula for a network": (changed("network", "@SUM(1)"), "network"),
    "a truth value for a component": (
        changed("setup.student", True),
        "setup.student is true; it must be a component",
    ),
    "a mapping for a phase": (changed("history.0.phase", {}), "history.0.phase"),
    "no number": (replaced('"gap": 0.', '"gap": NaN, "x": 0.'), "NaN"),
    "an infinite number": (replaced('"gap": 0.', '"gap": 1e999, "x": 0.'), "inf"),
    "a negative count": (changed("cost.macs", -1), "cost.macs"),
    "text for a metric": (changed("metrics.gap", "0.5"), "metrics.gap"),
    "a metric of a third party in words": (changed("metrics.mine", "y"), "metrics.mine"),
    "no metric to be judged by": (changed("data.metrics", []), "data.metrics"),
    "a judge that was not computed": (changed("data.metrics", ["mine"]), "metrics lacks mine"),
    "a list for a cost": (changed("cost", []), "cost"),
    "a huge whole number": (changed("setup.seed", 10**400), "setup.seed"),
    "thousands of digits": (replaced('"seed": 0', '"seed": ' + "9" * 5000), "digits"),
    "a seed that is true": (changed("setup.seed", True), "setup.seed"),
    "no frames": (changed("setup.k", 0), "setup.k"),
    "weights elsewhere": (changed("files.network", "../../etc/passwd"), "files.network"),
    "predictions elsewhere": (changed("files.predictions", "/etc/passwd"), "files.predictions"),
    "labels elsewhere": (changed("data.fingerprints.test", "../../x"), "data.fingerprints.test"),
    "an id with a folder": (changed("id", "../x"), "id is"),
    "an id that is a number": (changed("id", 1), "id is 1"),
    "deeply nested": (written(b"[" * 10_000), "nested too deeply"),
    "moderately nested": (
        replaced('"preset"', '"deep": ' + "[" * 300 + "]" * 300 + ', "preset"'),
        "nested too deeply",
    ),
    "a name that is there twice": (replaced("{", '{"id": "x", '), '"id" is there twice'),
    "UTF-16": (utf_16, "not a readable result"),
    "half a letter": (changed("machine.device", "\ud800"), "machine.device"),
    "empty": (written(b""), "not a readable result"),
    "cut": (
        lambda file: file.write_bytes(file.read_bytes()[:999]) and None,
        "not a readable result",
    ),
    "a pipe": (pipe, "not a regular file"),
    "a folder": (a_folder, "not a regular file"),
    "a loop of links": (loop, "is not a readable result"),
    "a link to nowhere": (dangling, "No such file or directory"),
    "a time that is none": (changed("finished", "soon"), "finished"),
    "a number for a time": (changed("finished", 20300101), "finished"),
    "text for metrics": (changed("metrics", "x"), "metrics"),
    "warnings that are text": (changed("warnings", "x"), "warnings"),
    "warnings that are numbers": (changed("warnings", [1]), "warnings.0"),
    "sources in a list": (changed("sources", []), "sources"),
    "a format that is true": (changed("format", True), "no format number"),
    "a choice without knobs": (changed("setup.head", {"name": "moe"}), "setup.head lacks knobs"),
    "phases that are text": (changed("setup.phases", "x"), "setup.phases"),
    "learners that are text": (changed("setup.phases.0.learners", "x"), "setup.phases.0.learners"),
    "a term without a loss": (
        changed("setup.phases.0.learners.teacher.terms", [{"weight": 1.0}]),
        "setup.phases.0.learners.teacher.terms",
    ),
    "a learner without terms": (
        changed("setup.phases.0.learners", {"teacher": {}}),
        "setup.phases.0.learners",
    ),
    "networks that are text": (changed("setup.networks", "x"), "setup.networks"),
    "no latency": (changed("cost.latency", {}), "cost.latency lacks 1, 256"),
    "seconds in words": (changed("budget.student.seconds", "long"), "budget.student.seconds"),
    "a fidelity in words": (changed("fidelity", {"top_1": "x"}), "fidelity.top_1"),
    "no precision": (changed("machine", {"device": "cpu"}), "machine lacks precision"),
    "a version that is a list": (changed("versions.torch", []), "versions.torch"),
    "no videos": (changed("data.videos.train", 0), "data.videos.train"),
    "a curve of words": (
        changed("history.0.networks", {"student": {"terms": {}, "validation": {"gap": "x"}}}),
        'gap is "x"',
    ),
}


def a_serial_one(folder: Path) -> Path:
    """A result that leaves those of the student alone and of the teacher to be compared."""
    return next(
        path
        for path in results_of(folder)
        if json.loads(path.read_text())["setup"]["schedule"]["name"] == "serial"
    )


@pytest.mark.parametrize("kind", DAMAGED_RESULTS)
def test_a_damaged_result_is_named_with_its_field_and_the_others_are_ranked(
    folder: Path, command: Command, kind: str
) -> None:
    damage, reason = DAMAGED_RESULTS[kind]
    file = a_serial_one(folder)
    others = {path.stem for path in results_of(folder)} - {file.stem}
    damage(file)
    code, out, err = command("leaderboard", folder, "--each", "--format", "csv")
    assert code == 0
    rows = {row["run"] for row in csv.DictReader(io.StringIO(out)) if row["status"] == "finished"}
    assert rows == others
    assert err.count(file.name) == 1
    assert reason in err


@pytest.mark.parametrize("kind", ["cut", "a folder", "no videos"])
def test_every_command_that_reads_results_names_a_damaged_one(
    folder: Path, command: Command, kind: str
) -> None:
    file = a_serial_one(folder)
    other = next(path for path in results_of(folder) if path != file)
    DAMAGED_RESULTS[kind][0](file)
    sides = ["--a", "schedule=scratch", "--b", "schedule=teacher", "--where", "k=6|all"]
    for arguments in (
        ["compare", *sides, "--resamples", 100, "--results", folder],
        ["report", "table1", "--results", folder],
        ["show", other.stem, "--results", folder],
    ):
        code, _, err = command(*arguments)
        assert code == 0
        assert file.name in err


def test_a_second_file_of_a_run_is_named_and_left_out(folder: Path) -> None:
    first, *_ = results_of(folder)
    shutil.copy(first, folder / "0-copy.json")
    found = load([folder])
    assert len(found.results) == 7
    assert [first, None] == [next(r.path for r in found.results if r.id == first.stem), None]
    assert "0-copy.json" in found.skipped[0]


def test_a_metric_may_not_be_called_as_a_column(folder: Path, command: Command) -> None:
    more = {
        "seeds": 7.0,
        "like_best": 3.0,
        "like_best_by": 1.5,
        "result": 1,
        "gap_low": 0.0,
        "bits": 2,
    }
    for path in results_of(folder):
        changed("metrics", {**json.loads(path.read_text())["metrics"], **more})(path)
    code, out, _ = command("leaderboard", folder, "--format", "json")
    assert code == 0
    assert {row["seeds"] for row in json.loads(out) if row["status"] == "finished"} == {1, 2}
    assert {row["bits"] for row in json.loads(out)} == {2, None}
    rows = StoredRuns(load([folder]).results, networks_with(installed())).rows
    assert {"scratch uniform ce", "teacher all ce"} < set(rows["method"])


@pytest.mark.parametrize(
    "damage",
    [
        changed("status", "finished"),
        changed("setup", {"schedule": {}}),
        changed("warnings", None),
        changed("reason", []),
        written(b"{"),
        pipe,
    ],
)
def test_a_damaged_failure_is_named(
    folder: Path, command: Command, damage: Callable[[Path], None]
) -> None:
    (file,) = (folder / "failures").glob("*.json")
    damage(file)
    code, out, err = command("leaderboard", folder)
    assert code == 0
    assert f"failures/{file.name}" in err
    assert "the disk is full" not in out


@pytest.mark.parametrize(
    "damage", [written(b"{"), changed("data", []), changed("budget.teacher", 1), pipe, loop]
)
def test_a_damaged_answer_is_none_and_its_run_is_made_again(
    make_spec: Callable[..., RunSpec], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    spec, place = make_spec(schedule="scratch"), RunContext(tmp_path)
    first = run_experiment(spec, place)
    damage(first.path)
    assert [job.spec.key for job in plan([spec], place).jobs] == [spec.key]
    assert run_experiment(spec, place).content["metrics"] == first.content["metrics"]
    assert [result.id for result in load([tmp_path]).results] == [spec.key]


def test_a_folder_in_the_place_of_a_result_is_refused_before_training(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    spec = make_spec(schedule="scratch")
    (tmp_path / f"{spec.key}.json").mkdir()
    with pytest.raises(
        ResultError, match="is a folder, where the result of this run is to be written"
    ):
        run_experiment(spec, RunContext(tmp_path))
    assert not (tmp_path / "labels").exists()
