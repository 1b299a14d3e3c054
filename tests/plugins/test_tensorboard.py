"""`tensorboard` writes event files that TensorBoard itself reads."""

from __future__ import annotations

import json
import sys

import pytest


@pytest.fixture
def logged(tmp_path):
    """Reads what was logged of the one run: {tag: [(step, value)]}, and the text of its settings."""
    accumulators = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="TensorBoard absent: pip install 'distillbench[tensorboard]'",
    )

    def read():
        (folder,) = (tmp_path / "tensorboard").iterdir()
        found = accumulators.EventAccumulator(str(folder)).Reload()
        (settings,) = found.Tensors("settings/text_summary")[-1].tensor_proto.string_val
        points = {
            tag: [(point.step, point.value) for point in found.Scalars(tag)]
            for tag in found.Tags()["scalars"]
        }
        return points, settings.decode()

    return read


@pytest.fixture
def observed(command, tiny, tmp_path):
    """Makes a run that the observer hears of, and returns what went to standard error."""

    def run(*words):
        asked = ["--observe", "tensorboard", "--results", tmp_path, *words]
        code, _, err = command("run", *tiny, *asked)
        assert code == 0, err
        return err

    return run


def steps(points):
    return [step for step, _ in points]


def test_tensorboard_reads_every_epoch_the_settings_and_the_test_metrics(
    observed, logged, tmp_path
):
    assert "failed and gets no more events" not in observed("--schedule", "serial")
    points, settings = logged()
    (path,) = tmp_path.glob("*.json")
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert steps(points["loss/teacher.ce"]) == [1, 2]
    assert steps(points["loss/student.rep"]) == [3, 4]
    assert steps(points["learning_rate"]) == [1, 2, 3, 4]
    scores = [epoch["networks"]["student"]["validation"]["gap"] for epoch in stored["history"][2:]]
    assert [value for _, value in points["validation/student.gap"]] == pytest.approx(scores)
    assert points["test/gap"] == [(4, pytest.approx(stored["metrics"]["gap"]))]
    assert json.loads(settings)["schedule"]["name"] == "serial"
    assert all(line.startswith("    ") for line in settings.splitlines())


def test_a_run_that_is_made_again_replaces_its_points(observed, logged):
    for _ in range(2):
        observed("--schedule", "scratch", "--again")
    points, _ = logged()
    assert steps(points["loss/student.ce"]) == [1, 2]
    assert steps(points["test/gap"]) == [2]


def test_a_run_that_goes_on_keeps_its_points(logged, tmp_path):
    from distillbench.interfaces import EpochEnded, RunEnded, RunStarted
    from distillbench_plugins.observers import tensorboard

    spec = {"phases": [{"name": "teacher", "epochs": 5}, {"name": "student", "epochs": 5}]}
    run = RunStarted("key", spec, tmp_path)
    rows = [("teacher", 1), ("student", 1), ("student", 2)]
    for seen in (rows, rows[2:]):  # killed after an epoch that no checkpoint has
        tensorboard.run_started(run)
        for phase, epoch in seen:
            learnt = {"terms": {"ce": 1.0}, "validation": {"gap": None}}
            row = {"phase": phase, "epoch": epoch, "learning_rate": 0.1}
            event = EpochEnded("key", {**row, "networks": {phase: learnt}})
            tensorboard.epoch_ended(run, event)
    tensorboard.run_started(run)  # killed while it was evaluated
    result = {"history": [{"phase": "student", "epoch": 2}], "metrics": {"gap": 0.5}}
    tensorboard.run_ended(run, RunEnded("key", result))
    points, _ = logged()
    assert points["test/gap"] == [(7, 0.5)]
    assert steps(points["learning_rate"]) == [1, 6, 7]
    assert steps(points["loss/student.ce"]) == [6, 7]
    assert "validation/student.gap" not in points


def test_without_tensorboard_the_run_goes_on_and_says_what_to_install(observed, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    err = observed("--schedule", "scratch")
    assert err.count("the observer 'tensorboard' failed and gets no more events") == 1
    assert "pip install 'distillbench[tensorboard]'" in " ".join(err.split())
