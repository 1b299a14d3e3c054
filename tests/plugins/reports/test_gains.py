"""What methods and arms gain, and over what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reporting import Make, figure_of, made, stored, table

from distillbench.errors import ConfigError
from distillbench.results.store import Result
from distillbench_plugins.reports.tuned_arms import Compared


def test_a_methods_gain_is_over_its_best_control(make_result: Make) -> None:
    results = [
        make_result(schedule="scratch", k=3, knows=0.5),
        make_result(schedule="scratch", k=3, train_selector="random", knows=1.5),
        make_result("schedule.targets=shuffled", schedule="serial", k=3, knows=0.7),
        make_result(schedule="serial", k=3, knows=2.5),
    ]
    found = table("controls", results)
    names = [words for words, _ in found.rows]
    assert ("serial rep:0.1,ce,pred", "another video's teacher") in names[: found.sections[0]]
    words, row = found.rows[-1]
    assert words == ("serial rep:0.1,ce,pred", "as it is")
    best = max(r.content["metrics"]["gap"] for r in results[:3])
    assert row[1].value == pytest.approx(results[3].content["metrics"]["gap"] - best)
    assert "frames redrawn (random)" in row[1].words


def test_the_board_of_all_methods_takes_each_gain_over_the_best_control(make_result: Make) -> None:
    results = [
        make_result(knows=knows, seed=seed, **choices)
        for seed in (0, 1)
        for knows, choices in (
            (1.0, {"schedule": "scratch", "loss": "ce"}),
            (3.0, {"schedule": "scratch", "loss": "ce", "train_selector": "random"}),
            (2.0, {"schedule": "serial", "loss": "rep,ce"}),
        )
    ]
    runs = stored(results)
    found = made("zoo", runs)
    assert [names[0] for names, _ in found.rows] == ["control", "control", "loss"]
    (_, best), (_, worst), (_, method) = found.rows
    assert best[0].value > method[0].value > worst[0].value
    assert method[1].value == pytest.approx(method[0].value - best[0].value, abs=1e-9)
    assert best[1].value is None
    # Were it an error, the other control would be the best, and more of it no gain.
    runs.errors = frozenset({"gap"})
    turned = made("zoo", runs)
    assert [row[0].value for _, row in turned.rows] == [
        worst[0].value,
        best[0].value,
        method[0].value,
    ]
    assert turned.rows[2][1][1].value == pytest.approx(worst[0].value - method[0].value, abs=1e-9)


def test_every_arm_of_a_tuning_has_its_gain_over_the_student_alone(
    tuned_results: list[Result], make_result: Make
) -> None:
    nameless = make_result(schedule="scratch", selector="first", knows=9.0)
    found = table("tuned-arms", [*tuned_results, nameless])
    assert [names for names, _ in found.rows] == [("taught",), ("student alone",), ("peers",)]
    for (_, cells), results in zip(
        found.rows, (tuned_results[2:4], tuned_results[:2], tuned_results[4:]), strict=True
    ):
        mean = np.mean([result.content["metrics"]["gap"] for result in results])
        assert cells[0].value == pytest.approx(mean)
        assert cells[4].value == 4
    (_, taught), (_, alone), _ = found.rows
    assert taught[1].value == pytest.approx(taught[0].value - alone[0].value)
    assert taught[2].value <= taught[1].value <= taught[3].value
    assert alone[1].value is None


def test_arms_at_several_k_are_apart_and_gain_over_the_student_of_their_own_k(
    make_result: Make, plt: Any
) -> None:
    choices = [("student alone", "scratch", 1.0), ("taught", "serial", 2.0)]
    results = {
        (arm, k): make_result(schedule=schedule, k=k, knows=knows + k / 10, tuned_arm=arm)
        for k in (3, 6)
        for arm, schedule, knows in choices
    }
    teacher = make_result(schedule="teacher", knows=3.0, tuned_arm="teacher")
    every = [*results.values(), teacher]
    rows = {names[0]: cells for names, cells in table("tuned-arms", every).rows}
    assert set(rows) == {"teacher", *(f"{arm}, k = {k}" for arm, k in results)}
    gap = {key: result.content["metrics"]["gap"] for key, result in results.items()}
    for k in (3, 6):
        gain = gap["taught", k] - gap["student alone", k]
        assert rows[f"taught, k = {k}"][1].value == pytest.approx(gain)
        assert rows[f"student alone, k = {k}"][1].value is None
    assert rows["teacher"][1].value is None
    over_teacher = made("tuned-arms", stored(every), compared=Compared(over="teacher"))
    gains = {names[0]: cells[1].value for names, cells in over_teacher.rows}
    assert {name for name, gain in gains.items() if gain is None} == {"teacher"}
    (axis,) = figure_of("tuned-gains", every, plt).axes
    drawn = [label.get_text() for label in axis.get_yticklabels()]
    assert len(drawn) == 4
    assert not any("teacher" in text for text in drawn)


def test_of_arms_that_are_judged_by_an_error_the_lower_gains(tuned_results: list[Result]) -> None:
    runs = stored(tuned_results)
    runs.errors = frozenset({"gap"})
    found = made("tuned-arms", runs)
    assert [names for names, _ in found.rows] == [("peers",), ("student alone",), ("taught",)]
    assert found.rows[0][1][1].value > 0


def test_gains_are_over_an_arm_that_there_is(tuned_results: list[Result]) -> None:
    with pytest.raises(ConfigError, match="'student alone', 'taught', 'peers'"):
        made("tuned-arms", stored(tuned_results), compared=Compared(over="nobody"))
    over = made("tuned-arms", stored(tuned_results), compared=Compared(over="taught"))
    assert over.rows[0][1][1].value is None


def test_runs_that_no_tuning_chose_have_no_arms(main_results: list[Result]) -> None:
    for name in ("tuned-arms", "tuned-gains"):
        with pytest.raises(ConfigError, match="no run that a tuning chose"):
            made(name, stored(main_results))


def test_the_figure_of_gains_draws_a_line_for_every_interval(
    tuned_results: list[Result], plt: Any
) -> None:
    figure = figure_of("tuned-gains", tuned_results, plt)
    (axis,) = figure.axes
    rows = [cells for _, cells in table("tuned-arms", tuned_results).rows][::-1]
    dots = [line for line in axis.lines[1:] if len(line.get_xdata()) == 1]
    spans = [line.get_xdata() for line in axis.lines[1:] if len(line.get_xdata()) == 2]
    gains = [cells[1].value for cells in rows]
    assert [float(dot.get_xdata()[0]) for dot in dots] == pytest.approx([g or 0.0 for g in gains])
    assert [list(span) for span in spans] == [
        pytest.approx([cells[2].value, cells[3].value]) for cells in rows if cells[1].value
    ]
