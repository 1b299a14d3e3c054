"""A family of contrasts that was named beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillbench.analysis.contrasts import Contrast, answers, holm, read_contrasts
from distillbench.cli.render import contrasts as rendered
from distillbench.errors import ConfigError
from distillbench.results.store import Result

Make = Callable[..., Result]
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_p_values_are_adjusted_as_in_a_worked_example() -> None:
    # Of 0.01, 0.04, 0.03, 0.005: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04 not below 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(P_VALUES)
def test_an_adjusted_p_value_lies_between_its_own_and_bonferronis(p_values: list[float]) -> None:
    for own, adjusted in zip(p_values, holm(p_values), strict=True):
        assert own <= adjusted <= min(1.0, own * len(p_values)) or adjusted == pytest.approx(own)


@given(P_VALUES)
def test_the_order_of_the_family_does_not_matter(p_values: list[float]) -> None:
    assert holm(p_values[::-1]) == holm(p_values)[::-1]


@given(P_VALUES)
def test_a_smaller_p_value_stays_smaller(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()


def test_of_families_without_any_difference_one_in_twenty_has_a_false_one() -> None:
    random = np.random.default_rng(0)
    families = random.uniform(size=(4000, 5))
    wrong = np.mean([min(holm(list(family))) <= 0.05 for family in families])
    assert 0.04 < wrong < 0.06


@pytest.fixture
def results(make_result: Make) -> list[Result]:
    made = [make_result(schedule="serial", seed=seed, knows=2.0) for seed in (0, 1, 2)]
    return made + [make_result(schedule="scratch", seed=seed, knows=0.5) for seed in (0, 1, 2)]


def test_a_family_is_answered_and_one_without_runs_counts_in_it_all_the_same(
    results: list[Result],
) -> None:
    real = Contrast("distillation", ("schedule=serial",), ("schedule=scratch",))
    none = Contrast("another", ("schedule=parallel",), ("schedule=scratch",))
    alone = answers([real], results, 200)[0]
    first, second = answers([real, none], results, 200)
    assert alone.difference == first.difference
    assert first.difference is not None
    assert first.holm == pytest.approx(min(1.0, 2 * alone.holm))
    assert second.difference is None
    assert "none of 6 results meets that" in second.reason
    assert not second.holds


def test_a_contrast_may_be_about_another_metric(results: list[Result]) -> None:
    sides = (("schedule=serial",), ("schedule=scratch",))
    (found,) = answers([Contrast("map", *sides, metric="map_at_20")], results, 200)
    assert found.metric == "mAP@20"
    (unknown,) = answers([Contrast("speed", *sides, metric="speed")], results, 200)
    assert "no interval for 'speed'; there are: gap, map_at_20" in unknown.reason


@pytest.mark.parametrize("form", ["table", "markdown", "csv", "json"])
def test_every_format_holds_every_contrast_and_escapes_its_name(
    results: list[Result], form: str
) -> None:
    family = [
        Contrast("[red]a|b", ("schedule=serial",), ("schedule=scratch",)),
        Contrast("lacking", ("schedule=parallel",), ("schedule=scratch",)),
    ]
    text = rendered.render(answers(family, results, 200), form)
    assert "lacking" in text
    assert ("a\\|b" if form == "markdown" else "a|b") in text
    if form == "json":
        assert [found["contrast"] for found in json.loads(text)] == ["[red]a|b", "lacking"]
        assert json.loads(text)[1]["real"] is False


def written(folder: Path, text: str) -> Path:
    path = folder / "contrasts.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_conditions_at_the_top_hold_for_every_contrast(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'where = ["k=15"]\n[[contrast]]\nname = "x"\na = ["loss=rep"]\nb = ["loss=ce"]\n'
        'where = ["data=digits"]\nmetric = "gap"\n',
    )
    expected = Contrast("x", ("loss=rep",), ("loss=ce",), ("k=15", "data=digits"), "gap")
    assert read_contrasts(path) == [expected]


ONE = '[[contrast]]\nname = "x"\na = ["k=1"]\nb = ["k=2"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it has no [[contrast]]"),
        ("contrast = 3", "it has no [[contrast]]"),
        ("contrast = [3]", "contrast 1: it is 3; it must be a table"),
        ('[[contrast]]\nname = "x"', "contrast 1: a must be a list of COLUMN=VALUE, and is None"),
        (ONE + 'c = "y"', "contrast 1: 'c' is not one of: name, a, b, where, metric"),
        (ONE + "metric = 3", "contrast 1: metric must be the name of a metric, and is 3"),
        (ONE + 'where = "k=1"', "contrast 1: where must be a list of COLUMN=VALUE"),
        ('where = "k=1"\n' + ONE, "where is 'k=1'; it must be a list"),
        (ONE + ONE, "two contrasts are called 'x'"),
        ("holm = true\n" + ONE, "'holm' is neither `where` nor a [[contrast]]"),
        ("[[contrast", "is not valid TOML"),
    ],
)
def test_a_wrong_file_is_told_in_full(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        read_contrasts(written(tmp_path, text))
    assert said in str(told.value)
