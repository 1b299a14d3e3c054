"""The study: its arms can be searched on every data set, and its contrasts are about its arms."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path

import pytest
from running import installed

from distillbench import api
from distillbench.analysis.contrasts import read_contrasts
from distillbench.config.tuning import read_tuning
from distillbench_plugins.reports.claims import comparisons

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
STUDY, RESULTS = BENCHMARKS / "study", BENCHMARKS / "results"
K = {"digits": 15, "audioset": 5, "reels": 15, "spoken-digits": 10}


@pytest.mark.parametrize("data", K)
def test_every_arm_can_be_searched(data: str, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    settings = {"data": data, "k": K[data]}
    request = api.request_tune(STUDY / "arms.toml", settings=settings, results=tmp_path)
    assert request.search.trials == 4


def test_the_arms_of_the_papers_claims_can_be_searched_and_are_what_the_report_compares(
    tmp_path: Path,
) -> None:
    pytest.importorskip("optuna")
    request = api.request_tune(STUDY / "claims_arms.toml", settings={}, results=tmp_path)
    assert request.search.trials == 4
    arms = [arm.settings.settings for arm in read_tuning(STUDY / "claims_arms.toml", []).arms]
    methods = {(arm["schedule"], arm["loss"], arm.get("selector", "uniform")) for arm in arms}
    compared = {
        (
            method.columns["schedule"],
            method.columns.get("objective", "ce"),
            method.columns.get("selector", "uniform"),
        )
        for comparison in comparisons()
        for method in (comparison.a, comparison.b)
    }
    not_run = {
        ("parallel", "rep-intermediate" + rest, "uniform") for rest in ("", ",ce", ",ce,pred")
    }
    assert methods == compared - not_run


@pytest.mark.parametrize(
    ("searched", "chosen_by", "compared"),
    [
        ("arms.toml", "audioset/trials.csv", "audioset.toml"),
        ("arms.toml", "spoken-digits/trials.csv", "spoken-digits.toml"),
        ("arms.toml", "reels/trials.csv", "reels.toml"),
        ("few_frames_arms.toml", "audioset/few_frames_trials.csv", "few_frames.toml"),
        ("claims_arms.toml", "claims/trials.csv", "claims.toml"),
    ],
)
def test_the_settings_of_a_comparison_are_those_that_its_trials_chose(
    searched: str, chosen_by: str, compared: str
) -> None:
    names = {arm.name for arm in read_tuning(STUDY / searched, []).arms}
    with (RESULTS / chosen_by).open(newline="", encoding="utf-8") as file:
        trials = [row for row in csv.DictReader(file) if row["trial"]]
    grids = tomllib.loads((STUDY / compared).read_text(encoding="utf-8"))["grid"]
    assert {grid["tuned_arm"] for grid in grids} <= names
    for grid in grids:
        settings = grid["set"]
        own = [row for row in trials if row["arm"] == grid["tuned_arm"]]
        for chosen in (row for row in own if row["chosen"] == "True"):
            tried = {name: float(value) for name, value in chosen.items() if "." in name and value}
            assert tried == {name: settings[name] for name in tried}, grid["tuned_arm"]
        assert len(own) in (0, 4)


def test_the_contrasts_are_few_and_about_arms_at_the_k_of_their_data() -> None:
    contrasts = read_contrasts(STUDY / "contrasts.toml")
    assert 3 <= len(contrasts) <= 5
    arms = read_tuning(STUDY / "arms.toml", []).arms
    names = {arm.name for arm in arms}
    for contrast in contrasts:
        conditions = dict(each.split("=", 1) for each in contrast.where)
        assert int(conditions["k"]) == K[conditions["data"]]
        assert {*contrast.a, *contrast.b} <= {f"arm={name}" for name in names}
        assert installed().find("data", conditions["data"]) is not None
