"""Runs are of one method where they differ in nothing but k and their seed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from running import installed

from distillbench.errors import ConfigError
from distillbench.reports.runs import StoredRuns, networks_with
from distillbench.results.store import Result

Make = Callable[..., Result]


def stored(results: list[Result], *conditions: str) -> StoredRuns:
    return StoredRuns(results, networks_with(installed()), conditions)


def methods(results: list[Result], *conditions: str) -> list[str]:
    return list(stored(results, *conditions).rows["method"])


def test_k_and_the_seed_tell_no_methods_apart(make_result: Make) -> None:
    results = [make_result(schedule="scratch", k=k, seed=s) for k in (3, 6) for s in (0, 1)]
    assert methods(results) == ["scratch uniform ce"] * 4


def test_what_follows_from_k_tells_no_methods_apart(make_result: Make) -> None:
    results = [
        make_result(f"student.block_length={length}", schedule="scratch", k=k)
        for k, length in ((3, 3), (5, 5))
    ]
    assert methods(results) == ["scratch uniform ce"] * 2


def test_a_setting_that_differs_at_one_k_is_named_where_it_is_not_the_commonest(
    make_result: Make,
) -> None:
    results = [
        make_result(schedule="scratch", k=3),
        make_result(schedule="scratch", k=6),
        make_result("loss.ce.label_smoothing=0.1", schedule="scratch", k=3),
        make_result("student.cell_size=9", schedule="scratch", k=3),
    ]
    assert methods(results) == [
        "scratch uniform ce",
        "scratch uniform ce",
        "scratch uniform ce, label_smoothing=0.1",
        "scratch uniform ce, cell_size=9",
    ]


def test_weights_are_named_where_they_differ(make_result: Make) -> None:
    results = [make_result(schedule="serial", loss=f"rep:{w},ce", k=3) for w in ("0.1", "0.5")]
    assert methods(results) == ["serial uniform rep,ce", "serial uniform rep,ce, loss=rep:0.5,ce"]


def test_runs_of_one_method_and_one_k_have_one_configuration(make_result: Make) -> None:
    results = [
        make_result(*assignments, schedule=schedule, train_selector=selector, k=k)
        for k in (3, 6)
        for schedule, assignments in (
            ("scratch", ()),
            ("serial", ("schedule.head=tied",)),
            ("serial", ("schedule.head=copy",)),
            ("serial", ("schedule.targets=shuffled",)),
        )
        for selector in ("uniform", "random")
    ]
    rows = stored(results).rows
    assert (rows.groupby(["method", "k"])["configuration"].nunique() == 1).all()
    assert rows["method"].nunique() == 8


def test_a_method_keeps_its_name_whatever_is_left_out(make_result: Make) -> None:
    results = [
        make_result(schedule="scratch", k=3),
        make_result(schedule="scratch", k=6),
        make_result("loss.ce.label_smoothing=0.1", schedule="scratch", k=3),
    ]
    named = methods(results, "loss.ce.label_smoothing=0.1")
    assert named == ["scratch uniform ce, label_smoothing=0.1"]
    everything = stored(results).methods
    assert stored(results, "loss.ce.label_smoothing=0.1").methods == everything


def test_what_a_report_does_to_rows_changes_no_runs(make_result: Make) -> None:
    runs = stored([make_result(schedule="scratch")])
    rows = runs.rows
    rows["gap"] = 0.0
    with pytest.raises(TypeError):
        rows["settings"].iloc[0]["k"] = "7"
    content = runs.stored(str(rows["run"].iloc[0]))
    content["metrics"]["gap"] = 0.0
    assert runs.rows["gap"].iloc[0] > 0
    assert runs.stored(str(rows["run"].iloc[0]))["metrics"]["gap"] > 0


def test_a_comparison_of_several_methods_says_in_what_they_differ(make_result: Make) -> None:
    runs = stored([make_result(schedule=schedule) for schedule in ("scratch", "serial")])
    with pytest.raises(ConfigError, match=r"one side has 2: .*schedule = scratch or serial"):
        runs.compare(runs.rows, runs.rows.head(1))
    with pytest.raises(ConfigError, match="one side has 0"):
        runs.compare(runs.rows.head(0), runs.rows.head(1))


def test_a_metric_without_an_interval_is_refused(make_result: Make) -> None:
    runs = stored([make_result(schedule="scratch")])
    with pytest.raises(ConfigError, match="no interval"):
        runs.compare(runs.rows, runs.rows, metric="perr", resamples=100)
