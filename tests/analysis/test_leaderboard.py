from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from distillbench.analysis.leaderboard import over_seeds, ranked, select
from distillbench.analysis.loading import load
from distillbench.analysis.rows import frame
from distillbench.analysis.significance import with_intervals
from distillbench.config.run_spec import RunSpec
from distillbench.registry.vetting import is_column
from distillbench.results import failures
from distillbench.results.store import Result

Make = Callable[..., Result]


def intervals(rows: pd.DataFrame, results: list[Result]) -> pd.DataFrame:
    return with_intervals(rows, results, "gap", rows.index)


def test_the_best_row_is_like_itself_and_a_much_worse_one_is_not(make_result: Make) -> None:
    results = [
        make_result(schedule="scratch", k=k, seed=s, knows=2.0 if k == 3 else 0.3)
        for k in (3, 4)
        for s in range(3)
    ]
    rows = intervals(over_seeds(frame(results)), results)
    by_k = {row["k"]: row for row in rows.to_dict("records")}
    assert by_k[3]["like_best"] is True
    assert by_k[4]["like_best"] is False
    assert all(row["gap_low"] < row["gap"] < row["gap_high"] for row in by_k.values())


def test_rows_of_other_videos_have_a_best_of_their_own(make_result: Make) -> None:
    results = [
        make_result(k=k, seed=s, knows=knows) for k, knows in ((3, 3.0), (4, 0.5)) for s in range(2)
    ]
    rows = over_seeds(frame(results))
    rows.loc[1, "videos"] = "others"
    assert list(intervals(rows, results)["like_best"]) == [True, True]


def test_within_groups_rows_are_like_the_best_of_their_group(make_result: Make) -> None:
    results = [
        make_result(schedule="scratch", k=k, seed=s, knows=2.0 if k == 3 else 0.3)
        for k in (3, 4)
        for s in range(3)
    ]
    rows = over_seeds(frame(results))
    grouped = with_intervals(rows, results, "gap", rows.index, group="k")
    assert list(grouped["like_best"]) == [True, True]


def test_a_single_seed_is_never_marked_as_like_the_best(make_result: Make) -> None:
    results = [make_result(k=3, seed=s) for s in range(2)] + [make_result(k=4, knows=3.0)]
    rows = intervals(over_seeds(frame(results)), results)
    assert not any(mark is True for mark in rows["like_best"])  # the best row has one seed alone
    each = intervals(frame(results), results)
    assert not any(mark is True for mark in each["like_best"])
    assert each["gap_low"].notna().all()


def test_a_phase_in_which_both_learn_is_counted_once(make_result: Make) -> None:
    assert frame([make_result(schedule="parallel")])["train_seconds"].tolist() == [
        1.0
    ]  # two epochs of half a second
    assert frame([make_result(schedule="serial")])["train_seconds"].tolist() == [2.0]


def test_a_row_whose_best_epoch_is_its_last_says_that_it_was_still_improving(
    make_result: Make,
) -> None:
    done, improving = make_result(schedule="serial"), make_result(schedule="serial", seed=1)
    improving.content["history"][-1]["networks"]["student"]["best"] = 2
    rows = frame([done, improving])
    told = "still improving: the student's best epoch in phase 'student' is its last (2)"
    assert rows["warnings"].tolist() == ["", told]
    assert over_seeds(rows)["warnings"].tolist() == [told]


def test_a_latency_that_was_disturbed_is_doubtful(make_result: Make) -> None:
    quiet, spread, runs_beside, busy = (make_result(seed=seed) for seed in range(4))
    spread.content["cost"]["latency"]["1"]["p95"] = 0.002
    runs_beside.content["machine"]["runs_beside"] = 1
    busy.content["cost"]["latency"]["1"]["load"] = 3.0
    rows = frame([quiet, spread, runs_beside, busy])
    assert rows["latency_doubtful"].tolist() == [False, True, True, True]
    assert over_seeds(rows)["latency_doubtful"].tolist() == [True]


def test_a_run_without_predictions_has_a_row_without_interval(make_result: Make) -> None:
    result = make_result()
    (result.path.parent / result.content["files"]["predictions"]).unlink()
    rows = intervals(frame([result]), [result])
    assert rows.loc[0, "gap"] > 0
    assert pd.isna(rows.loc[0, "gap_low"])


def test_a_run_that_failed_is_a_row_with_its_reason_until_it_is_answered(
    tmp_path: Path, make_result: Make, make_spec: Callable[..., RunSpec]
) -> None:
    spec = make_spec(k=3)
    make_result(k=4)
    failures.keep(tmp_path / "results", spec, "failed", "the disk is full")
    loaded = load([tmp_path / "results"])
    rows = ranked(over_seeds(frame(loaded.results, loaded.failures)), "gap", None)
    assert list(rows["status"]) == ["finished", "failed"]
    assert rows.iloc[1]["reason"] == "the disk is full"
    make_result(k=3)
    assert load([tmp_path / "results"]).failures == ()


def test_runs_that_all_failed_are_joined_too(
    tmp_path: Path, make_spec: Callable[..., RunSpec]
) -> None:
    for seed in (0, 1):
        failures.keep(tmp_path / "results", make_spec(k=3, seed=seed), "failed", "the disk is full")
    rows = over_seeds(frame((), load([tmp_path / "results"]).failures))
    assert rows[["status", "seeds"]].to_dict("records") == [{"status": "failed", "seeds": 2}]


def test_budgets_and_fidelity_are_columns(make_result: Make) -> None:
    (row,) = frame([make_result(schedule="serial")]).to_dict("records")
    assert (row["teacher_epochs"], row["student_epochs"], row["student_examples"]) == (2, 2, 128)
    assert row["epoch_chosen_by"] == "validation GAP@20"
    assert row["budget"] == "teacher 2, student 2 epochs"
    assert (row["same_top_1"], row["teacher_cka"]) == (0.9, 0.7)


def test_rows_are_ranked_within_groups_and_numbers_sort_as_numbers(make_result: Make) -> None:
    results = [
        make_result(k=k, schedule="scratch", seed=s, knows=1.0 + s) for k in (10, 6) for s in (0, 1)
    ]
    rows = ranked(frame(results), "gap", 1, "k")
    assert list(rows["k"]) == [6, 10]
    assert list(rows["seed"]) == [1, 1]


def test_conditions_name_columns_and_settings(make_result: Make) -> None:
    rows = frame([make_result(k=3), make_result("schedule.head=tied", k=4)])
    assert list(select(rows, ["schedule.head=tied"])["k"]) == [4]
    assert list(select(rows, ["k=3|4", "selector.jitter=false"])["k"]) == [3, 4]
    assert select(rows, ["k=9"]).empty


def test_jittered_training_is_told_from_plain(make_result: Make) -> None:
    (row,) = frame([make_result("train_selector.jitter=true", train_selector="uniform")]).to_dict(
        "records"
    )
    assert row["train_selector"] == "uniform jitter=True"


def test_every_column_that_is_no_metric_is_known_so_that_no_metric_is_called_so(
    make_result: Make, tmp_path: Path, make_spec: Callable[..., RunSpec]
) -> None:
    results = [make_result(schedule="serial")]
    failures.keep(tmp_path / "results", make_spec(k=3), "failed", "the disk is full")
    loaded = load([tmp_path / "results"])
    rows = intervals(over_seeds(frame(results, loaded.failures)), results)
    metrics = {column.name for column in rows.loc[0, "metrics"]}
    assert metrics >= {"gap", "map_at_20", "map", "hit_at_1", "perr"}
    assert not [name for name in metrics if is_column(name)]
    assert not [name for name in rows.columns if name not in metrics and not is_column(name)]
