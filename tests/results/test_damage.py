"""Damaged files among good ones: they are named, and everything else goes on."""

from __future__ import annotations

import contextlib
import copy
import csv
import functools
import io
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from results.made_up import CLASSES, VIDEOS, write_result
from running import installed, run_experiment
from safetensors.numpy import load_file, save_file

from distillbench.analysis.leaderboard import load
from distillbench.config.run_spec import RunSpec
from distillbench.errors import DistillbenchError, ResultError
from distillbench.experiments.context import RunContext
from distillbench.experiments.plan import plan
from distillbench.metrics import predictions
from distillbench.reports.runs import StoredRuns, networks_with
from distillbench.results import failures, test_labels
from distillbench.storage import load_tensors, save_tensors
from distillbench_plugins.reports.budget import Budget
from distillbench_plugins.reports.learning_curves import LearningCurves
from distillbench_plugins.reports.pareto import Pareto

Command = Callable[..., tuple[int, str, str]]
TABLES = ("table1", "table2", "table3", "table4", "controls", "claims")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, make_spec: Callable[..., RunSpec]) -> Path:
    """A folder of seven results and one failure, which tests copy."""
    folder = tmp_path_factory.mktemp("made") / "results"
    for k in (3, 6):
        for seed in (0, 1):
            write_result(folder, make_spec(schedule="scratch", selector="uniform", k=k, seed=seed))
        write_result(folder, make_spec(schedule="serial", loss="rep,ce,pred", k=k), knows=1.4)
    write_result(folder, make_spec(schedule="teacher"), knows=2.0)
    failures.keep(folder, make_spec(k=5), "failed", "the disk is full")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "results"))


def results_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def changed(path: str, value: object) -> Callable[[Path], None]:
    """Sets a field of a JSON file, named by a dotted path, to a value."""

    def damage(file: Path) -> None:
        content = json.loads(file.read_text())
        *way, last = path.split(".")
        place = content
        for step in way:
            place = place[int(step) if isinstance(place, list) else step]
        place[int(last) if isinstance(place, list) else last] = value
        file.write_text(json.dumps(content))

    return damage


def replaced(old: str, new: str) -> Callable[[Path], None]:
    return lambda file: file.write_text(file.read_text().replace(old, new, 1)) and None


def written(content: bytes) -> Callable[[Path], None]:
    return lambda file: file.write_bytes(content) and None


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def dangling(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere.json")


def utf_16(file: Path) -> None:
    file.write_text(file.read_text(), encoding="utf-16")


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


# --------------------------------------------------------------------------------------------- labels, predictions


def relabelled(**tensors: list[Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        file = folder / "labels" / "made-up.safetensors"
        held, about = load_tensors(file)
        changes = {name: torch.tensor(value) for name, value in tensors.items() if name != "count"}
        about |= {"count": tensors["count"][0]} if "count" in tensors else {}
        save_tensors(file, {**held, **changes}, about)

    return damage


DAMAGED_LABELS = {
    "an offset beyond": lambda folder: relabelled(offsets=[0] * VIDEOS + [2**62])(folder),
    "offsets that fall": relabelled(offsets=[0, 5, 3]),
    "offsets in fractions": relabelled(offsets=[0.0, 1.0]),
    "no offsets": relabelled(offsets=[]),
    "negative classes": lambda folder: relabelled(offsets=[0, 1], classes=[-1])(folder),
    "classes out of range": relabelled(offsets=[0, 1], classes=[CLASSES]),
    "other videos": relabelled(offsets=[0, 1], classes=[0]),
    "a count of words": relabelled(count=["many"]),
    "another count": relabelled(count=[CLASSES + 1]),
    "bytes": lambda folder: written(b"damaged")(folder / "labels" / "made-up.safetensors"),
    "a pipe": lambda folder: pipe(folder / "labels" / "made-up.safetensors"),
    "a list said of them": lambda folder: save_tensors(
        folder / "labels" / "made-up.safetensors",
        {"offsets": torch.zeros(1)},
        [],  # type: ignore[arg-type]
    ),
}


@pytest.mark.parametrize("kind", DAMAGED_LABELS)
def test_damaged_labels_cost_the_interval_of_map_and_are_said_once(
    folder: Path, command: Command, kind: str
) -> None:
    DAMAGED_LABELS[kind](folder)
    code, out, err = command("leaderboard", folder, "--format", "json")
    rows = [row for row in json.loads(out) if row["status"] == "finished"]
    assert code == 0
    assert len(rows) == 5
    assert all(row["gap_low"] is not None and row["map_at_20_low"] is None for row in rows)
    assert "made-up" in err
    assert err.count("made-up.safetensors") <= 1
    a, b = (row["run"] for row in rows[:2])
    code, out, _ = command("compare", a, b, "--results", folder, "--resamples", 100)
    assert code == 0
    assert "note: " in out
    assert "made-up" in out
    assert "older run" not in out


def test_damaged_labels_are_kept_anew_by_the_next_run(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    done = run_experiment(make_spec(schedule="scratch"), RunContext(tmp_path))
    (file,) = (tmp_path / "labels").glob("*")
    file.write_bytes(b"damaged")
    run_experiment(make_spec(schedule="scratch"), RunContext(tmp_path, again=True))
    assert test_labels.find(tmp_path, done.content["data"]["fingerprints"]["test"]) is not None


DAMAGED_ARRAYS: Mapping[str, Callable[[dict[str, Any]], object]] = {
    "ids that are numbers": lambda a: a.update(ids=np.frombuffer(b"[1, 2]", np.uint8)),
    "ids that are no list": lambda a: a.update(ids=np.frombuffer(b"7", np.uint8)),
    "ids that are nested": lambda a: a.update(ids=np.frombuffer(b"[" * 99_999, np.uint8)),
    "ids that are too few": lambda a: a.update(ids=np.frombuffer(b'["a"]', np.uint8)),
    "ids that are alike": lambda a: a.update(
        ids=np.frombuffer(json.dumps(["a"] * VIDEOS).encode(), np.uint8)
    ),
    "ids that are missing": lambda a: a.pop("ids"),
    "scores in double precision": lambda a: a.update(scores=a["scores"].astype(np.float64)),
    "scores that are none": lambda a: a.update(scores=a["scores"] * np.float32("nan")),
    "scores that are infinite": lambda a: a.update(scores=np.full_like(a["scores"], np.inf)),
    "scores that are worst first": lambda a: a.update(scores=a["scores"][:, ::-1].copy()),
    "scores of fewer classes": lambda a: a.update(scores=a["scores"][:, :3].copy()),
    "scores in one list": lambda a: a.update(scores=a["scores"].ravel()),
    "classes out of range": lambda a: a.update(classes=a["classes"] + 1),
    "classes that are negative": lambda a: a.update(classes=-a["classes"]),
    "classes in fractions": lambda a: a.update(classes=a["classes"].astype(np.float32)),
    "hits that are numbers": lambda a: a.update(hits=a["hits"].astype(np.int8)),
    "hits that are neither": lambda a: a.update(
        hits=np.full(a["hits"].shape, 2, np.uint8).view(np.bool_)
    ),
    "positives that are negative": lambda a: a.update(positives=-a["positives"]),
    "positives that are too many": lambda a: a.update(positives=a["positives"] + 2**30),
    "positives that are fewer than hits": lambda a: a.update(positives=a["positives"] * 0),
    "hits at positives beyond them": lambda a: a.update(hits_at_positives=a["positives"] + 1),
    "class positives that are negative": lambda a: a.update(class_positives=-a["class_positives"]),
    "class positives of no class": lambda a: a.update(class_positives=a["class_positives"][:0]),
    "class positives that are a number": lambda a: a.update(
        class_positives=np.array(a["class_positives"].sum())
    ),
    "class positives that do not add up": lambda a: a.update(
        class_positives=a["class_positives"] + 1
    ),
}


@pytest.mark.parametrize("kind", DAMAGED_ARRAYS)
def test_damaged_predictions_cost_a_row_its_interval_and_are_said_once(
    folder: Path, command: Command, kind: str
) -> None:
    best = max(load([folder]).results, key=lambda result: result.content["metrics"]["gap"])
    file = folder / best.content["files"]["predictions"]
    arrays = dict(load_file(file))
    DAMAGED_ARRAYS[kind](arrays)
    save_file(arrays, file, {"format": "distillbench top-20 predictions, format 1"})
    with pytest.raises(ResultError, match=file.name):
        predictions.load(file)
    code, out, err = command("leaderboard", folder, "--format", "json")
    rows = {row["run"]: row for row in json.loads(out) if row["status"] == "finished"}
    assert code == 0
    assert rows.pop(best.id)["gap_low"] is None
    assert all(row["gap_low"] is not None for row in rows.values())
    assert err.count(file.name) == 1
    code, _, err = command("compare", best.id, next(iter(rows)), "--results", folder)
    assert code == 2
    assert file.name in err


def test_predictions_of_another_number_of_videos_than_the_result_says_are_refused(
    folder: Path,
) -> None:
    first, *_ = results_of(folder)
    changed("metrics.videos", VIDEOS + 1)(first)
    with pytest.raises(ResultError, match=f"of the {VIDEOS + 1} test videos"):
        next(r for r in load([folder]).results if r.id == first.stem).predictions()


# ------------------------------------------------------------------------------------------------- running again


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


# ------------------------------------------------------------------------------------------------------ at random

_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        7,
        2**31,
        2**62,
        2**63,
        -(2**70),
        10**400,
        0.5,
        -0.5,
        1e-300,
        1e99,
        1e308,
    ),
    *(
        float("nan"),
        float("inf"),
        "",
        "x",
        "student",
        "teacher",
        "@SUM(1)",
        "../x",
        "/",
        "\0",
        "\ud800",
        "²",
        "9" * 99,
    ),
    *(
        "[/]",
        "2030",
        "int8",
        "k=3",
        [],
        [1],
        ["x"],
        [[]],
        {},
        {"x": 1},
        {"name": "x", "knobs": {}},
        [{"name": 1}, 2],
    ),
)


def mutate(content: Any, chance: random.Random) -> None:
    """Changes one place of a JSON document: its value, its name, or whether it is there."""
    while True:
        keys: list[Any] = list(content) if isinstance(content, dict) else list(range(len(content)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(content[key], (dict, list)) and content[key] and chance.random() < 0.85:
            content = content[key]
            continue
        action = chance.random()
        if action < 0.7:
            content[key] = copy.deepcopy(chance.choice(_VALUES))
        elif action < 0.85:
            del content[key]
        elif isinstance(content, dict):
            content[str(chance.choice(["", "x", "\x1b[1m", "seeds", "gap", "²", "1"]))] = (
                content.pop(key)
            )
        else:
            content.append(copy.deepcopy(chance.choice(_VALUES)))
        return


def spoil(file: Path, chance: random.Random) -> None:
    """Puts a damaged copy in a file's place: JSON changed in its structure, any other in some bytes."""
    raw = bytearray(file.read_bytes())
    file.unlink()
    if file.suffix == ".json" and chance.random() < 0.9:
        content = json.loads(raw)
        for _ in range(chance.choice([1, 1, 1, 2, 5])):
            mutate(content, chance)
        file.write_text(json.dumps(content))
        return
    for _ in range(chance.choice([1, 1, 4, 50])):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    cut = chance.random()
    file.write_bytes(
        raw[: chance.randrange(len(raw))] if cut < 0.1 else raw + raw[:9] if cut < 0.15 else raw
    )


def commands(folder: Path, keys: list[str], chance: random.Random) -> list[list[object]]:
    """Lists everything that reads results, with random options."""
    two = [chance.choice(keys), chance.choice(keys)]
    form = chance.choice(["table", "markdown", "csv", "json"])
    column = chance.choice(
        ["k", "seed", "loss", "preset", "warnings", "budget", "gap", "map", "cka", "device", "x"]
    )
    where = chance.choice([[], [], ["--where", f"{column}=3"], ["--where", "schedule.head=copy"]])
    each = chance.choice([[], ["--each"]])
    grouped = chance.choice(
        [
            [],
            [],
            ["--group-by", chance.choice(["k", "schedule", "loss", "budget", "seed", "macs"])],
            ["--sort", column],
            ["--top", 2],
        ]
    )
    sides = chance.choice(
        [["--a", "schedule=serial", "--b", "schedule=scratch", "--where", "k=3"], two]
    )
    subject = chance.choice(TABLES)
    shape = chance.choice(["rich", "markdown", "latex", "csv"])
    return [
        ["leaderboard", folder, "--format", form, *each, *where, *grouped],
        ["compare", *sides, "--results", folder, "--resamples", 100, "--format", form],
        ["show", two[0], "--results", folder],
        ["report", subject, "--results", folder, "--format", shape, *where],
    ]


def survives(made: Path, command: Command, seed: int) -> None:
    """Spoils a file or two of a folder and reads what is there."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(made, Path(place) / "results", copy_function=os.link))
        files = sorted(path for path in folder.rglob("*.*") if "network" not in path.name)
        spoilt = chance.sample(files, chance.choice([1, 1, 2]))
        for file in spoilt:
            spoil(file, chance)
        keys = [path.stem for path in results_of(folder)]
        arguments = chance.choice(commands(folder, keys, chance))
        code, _, err = command(*arguments)
        assert code in (0, 2), f"{arguments} {err}"
        found = load([folder])
        read = {result.path for result in found.results}
        assert {path for path in results_of(folder) if path not in spoilt} <= read
        assert all(
            path.name in " ".join(found.skipped) for path in results_of(folder) if path not in read
        )
        if chance.random() < 0.1:
            runs = functools.partial(StoredRuns, found.results, networks_with(installed()))
            for figure in (Pareto(), Budget(), LearningCurves()):
                with contextlib.suppress(DistillbenchError):
                    figure.make(runs())


ANY_FOLDER = [HealthCheck.function_scoped_fixture]


@settings(max_examples=50, deadline=None, suppress_health_check=ANY_FOLDER)
@given(seed=st.integers(0, 2**32))
def test_no_damage_ends_in_a_traceback_or_costs_another_row(
    made: Path, command: Command, seed: int
) -> None:
    survives(made, command, seed)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=ANY_FOLDER)
@given(seed=st.integers(0, 2**32))
def test_no_damage_of_hundreds_ends_in_a_traceback_or_costs_another_row(
    made: Path, command: Command, seed: int
) -> None:
    survives(made, command, seed)
