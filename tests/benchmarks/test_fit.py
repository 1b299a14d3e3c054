"""How well networks fit their training videos is measured on the networks as they are judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from running import run_experiment

from distillbench import api
from distillbench.analysis.loading import load
from distillbench.config.run_spec import RunSpec
from distillbench.experiments.context import RunContext
from fit import measured, wanted


def test_a_row_is_of_an_arm_on_its_training_videos_and_its_test_videos(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    for schedule, arm in (("teacher", "teacher"), ("scratch", "student alone")):
        spec = make_spec(schedule=schedule, k=3, tuned_arm=arm)
        run_experiment(spec, RunContext(tmp_path))
    results = load([tmp_path]).results
    rows = {row["arm"]: row for row in measured(results)}
    assert set(rows) == {"teacher", "student alone"}
    for result in results:
        row, run = rows[result.content["tuned"]["arm"]], api.load(result.path)
        assert float(row["gap_test"]) == pytest.approx(run.metrics["gap"], abs=1e-4)
        scores = torch.from_numpy(api.predict(run, "train").values)
        labels = run._restored.experiment.splits.train.labels.dense(torch.arange(len(scores)))
        given = float((scores * labels).sum() / labels.sum())
        assert float(row["label_probability"]) == pytest.approx(given, abs=1e-4)
        assert 0 < float(row["gap_train"]) <= 1
    on_three = float(rows["teacher"]["gap_on_student_frames"])
    assert on_three != float(rows["teacher"]["gap_test"])
    assert "gap_on_student_frames" not in rows["student alone"]
    assert [row["arm"] for row in measured([r for r in results if wanted(r, ["teacher"], 5)])] == [
        "teacher"
    ]
    assert not any(wanted(result, ["student alone"], 5) for result in results)
