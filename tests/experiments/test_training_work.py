"""What training costs, before it is begun and after it has ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from running import run_experiment

from distillbench.config.run_spec import RunSpec
from distillbench.experiments.context import RunContext
from distillbench.experiments.training_work import Works
from distillbench.training.build import open_data

MakeSpec = Callable[..., RunSpec]


@pytest.mark.parametrize("schedule", ["serial", "parallel", "scratch"])
def test_a_run_that_goes_to_its_end_costs_what_was_planned(
    schedule: str, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(schedule=schedule)
    found = run_experiment(spec, RunContext(tmp_path, "cpu")).content["budget"]["macs"]
    assert found == pytest.approx(sum(Works().planned(spec, open_data(spec))))


def test_epochs_that_were_not_trained_cost_nothing(make_spec: MakeSpec) -> None:
    spec = make_spec("training.epochs=10", schedule="serial", loss="rep,ce")
    splits = open_data(spec)
    teacher, student = ([{"phase": name}] for name in ("teacher", "student"))
    one, two = (Works().spent(spec, splits, teacher + n * student) for n in (1, 2))
    none = Works().spent(spec, splits, teacher)
    # The teacher is asked once of each video, however many epochs its student has.
    assert two - one < one - none
    assert none + 10 * (two - one) < sum(Works().planned(spec, splits))


def test_a_teacher_costs_a_student_as_much_whoever_trained_it(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    context = RunContext(tmp_path, "cpu")
    first, second = (
        run_experiment(make_spec(loss="rep,ce", schedule="serial", seed=0, k=k), context)
        for k in (4, 5)
    )
    alone = run_experiment(make_spec(schedule="teacher"), context).content["budget"]["macs"]
    for found in (first, second):
        assert found.content["budget"]["macs"] > alone
