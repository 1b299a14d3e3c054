"""The board of all methods: which are on it, and how their settings are chosen."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from running import installed

import zoo_trials

STUDY = Path(__file__).resolve().parents[2] / "benchmarks" / "study"
NOT_ON_THE_BOARD = {
    "all": "it is what teachers see",
    "audio-preview": "digits has no sound",
    "dkd": "it is refused for several labels a video",
    "every-n": "on videos of one length it is uniform",
    "exits-ce": "it is compared by frames used, not at one k",
    "nkd": "it is refused for several labels a video",
    "oracle": "it needs the file of a trained run",
    "softmax-ce": "it is refused for several labels a video",
    "yt8m": "another data set",
    "audioset": "another data set",
    "synthetic": "another data set",
}
KINDS = (
    "label-loss",
    "matching-loss",
    "schedule",
    "selector",
    "learned-selector",
    "student",
    "head",
)


@pytest.fixture(scope="module")
def read() -> tuple[dict[str, object], list[zoo_trials.Arm]]:
    usual, board, arms = zoo_trials.read_arms(STUDY / "zoo_arms.toml")
    return {**usual, **board}, arms


def test_every_shipped_method_is_on_the_board_or_there_is_a_reason() -> None:
    stored = tomllib.loads((STUDY / "zoo_arms.toml").read_text(encoding="utf-8"))
    choices = [stored["usual"], *stored["arm"]]
    named = {
        name for each in choices for name in re.findall(r"[a-z][a-z0-9-]*", each.get("loss", ""))
    }
    for each in choices:
        named |= {each.get(kind) for kind in ("schedule", "selector", "student", "head")}
    named |= {"moe", "hrnn"}  # what students are unless an arm says so
    shipped = {
        component.name
        for component in installed()
        if component.kind in KINDS and component.distribution == "distillbench"
    }
    assert shipped - named == NOT_ON_THE_BOARD.keys() & shipped


def test_every_arm_has_as_many_trials_or_takes_over_what_others_chose(
    read: tuple[dict[str, object], list[zoo_trials.Arm]],
) -> None:
    _, arms = read
    names = [arm.name for arm in arms]
    assert len(names) == len(set(names))
    for arm in arms:
        assert set(arm.like) <= set(names)
        assert not (arm.like and arm.varied)
        assert arm.searches_weight or len(arm.values) in (0, zoo_trials.TRIALS)


@pytest.mark.parametrize(
    ("tried", "expected"),
    [
        ({1.0: 0.5, 10.0: 0.6}, 100.0),
        ({1.0: 0.6, 10.0: 0.5}, 0.1),
        ({1.0: 0.5, 10.0: 0.5}, 0.1),
        ({1.0: 0.5, 10.0: 0.6, 100.0: 0.7}, 1000.0),
        ({1.0: 0.5, 10.0: 0.6, 100.0: 0.55}, 30.0),
        ({1.0: 0.55, 10.0: 0.6, 100.0: 0.5}, 3.0),
        ({0.1: 0.6, 1.0: 0.7, 10.0: 0.5}, 0.3),
    ],
)
def test_the_next_weight_lies_beyond_a_best_edge_or_beside_the_best(
    tried: dict[float, float], expected: float
) -> None:
    assert zoo_trials.next_weight(tried) == expected


def test_an_arm_whose_trials_all_failed_chooses_nothing() -> None:
    failed = {1.0: float("-inf"), 10.0: float("-inf")}
    with pytest.raises(SystemExit, match="some: no trial has a result"):
        zoo_trials.Arm("some", {}, varied="w", tried=failed).chosen()


def test_trials_of_another_setting_are_left_out(tmp_path: Path) -> None:
    table = tmp_path / "trials.csv"
    table.write_text(
        "method,varied,value,validation_gap,chosen\n"
        "a,weight,1,0.5,True\na,training.learning_rate,0.1,0.6,True\n"
    )
    arms = [zoo_trials.Arm("a", {}, varied="w")]
    zoo_trials.fill(arms, table)
    assert arms[0].tried == {1.0: 0.5}


def test_a_chosen_weight_is_written_into_the_losses() -> None:
    arm = zoo_trials.Arm("some", {"loss": "rep:{w/10},ce,pred:{w}"}, varied="w", tried={30.0: 1.0})
    assert zoo_trials.setup({"k": 15}, arm, arm.chosen()) == {
        "k": 15,
        "loss": "rep:3,ce,pred:30",
    }


def test_the_board_asks_what_the_arms_and_the_trials_say(
    read: tuple[dict[str, object], list[zoo_trials.Arm]], tmp_path: Path
) -> None:
    usual, arms = read
    for arm in arms:
        if arm.varied:
            arm.tried = {value: -value for value in (arm.values or (1.0, 10.0))}
    zoo_trials.write(usual, arms, tmp_path / "zoo.toml", tmp_path / "trials.csv")
    asked = tomllib.loads((tmp_path / "zoo.toml").read_text(encoding="utf-8"))
    assert len(asked["grid"]) == len(arms)
    assert all("{w" not in grid.get("loss", "") for grid in asked["grid"])
    lines = (tmp_path / "trials.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + sum(len(arm.tried) for arm in arms)
    assert sum(line.endswith("True") for line in lines) == sum(bool(arm.tried) for arm in arms)


def test_the_board_is_the_one_that_the_stored_trials_choose(
    read: tuple[dict[str, object], list[zoo_trials.Arm]], tmp_path: Path
) -> None:
    usual, arms = read
    zoo_trials.fill(arms, STUDY.parent / "results" / "zoo" / "trials.csv")
    zoo_trials.write(usual, arms, tmp_path / "zoo.toml", tmp_path / "trials.csv")
    assert (tmp_path / "zoo.toml").read_bytes() == (STUDY / "zoo.toml").read_bytes()
    assert {len(arm.tried) for arm in arms} <= {0, zoo_trials.TRIALS}
