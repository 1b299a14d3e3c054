"""What users write to have settings searched for."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillbench.config.tuning import read_part, read_tuning, written_part, written_space
from distillbench.errors import ConfigError
from distillbench.interfaces import Between, OneOf

FINITE = st.floats(1e-6, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0.001..0.03 log", Between(0.001, 0.03, log=True)),
        ("1..4 whole", Between(1, 4, whole=True)),
        ("16..1024 log whole", Between(16, 1024, log=True, whole=True)),
        ("-1..1", Between(-1, 1)),
        ("1e-3..1e-1", Between(1e-3, 1e-1)),
        ("0.2,0.5", OneOf((0.2, 0.5))),
        ("16,32", OneOf((16, 32))),
        ("true,false", OneOf((True, False))),
        ("tied, separate", OneOf(("tied", "separate"))),
        ([0.2, 0.5], OneOf((0.2, 0.5))),
        (["a", "b", "a"], OneOf(("a", "b"))),
    ],
)
def test_ranges_and_lists_are_read(written: object, meant: object) -> None:
    assert read_part(written) == meant


@pytest.mark.parametrize(
    "written",
    ["", "3..1", "0..1 log", "1..1", "nan..2", "1..inf", "0.5..2 whole", 3, [], [[1]], {}, None],
)
def test_what_is_neither_is_none(written: object) -> None:
    assert read_part(written) is None


@given(FINITE, FINITE, st.booleans(), st.booleans())
def test_what_is_written_is_read_as_what_it_was(
    low: float, high: float, log: bool, whole: bool
) -> None:
    low, high = (float(f"{round(end) if whole else end:g}") for end in sorted((low, high)))
    part = Between(low, high, log, whole)
    if low < high and (low > 0 or not log):
        assert read_part(written_part(part)) == part


def test_a_space_is_written_in_the_order_of_names() -> None:
    space = {"b": OneOf((1, 2)), "a.b": Between(0.001, 0.1, log=True)}
    assert written_space(space) == "a.b 0.001..0.1 log, b [1 2]"


def written(folder: Path, text: str) -> Path:
    path = folder / "arms.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_arm_tries_what_all_try_and_its_own(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'data = "digits"\ntrials = 4\nset.training.epochs = 2\n'
        '[try]\ntraining.learning_rate = "0.001..0.1 log"\n'
        '[[arm]]\nname = "alone"\nschedule = "scratch"\n'
        '[[arm]]\nname = "taught"\nschedule = "serial"\ntry."loss.rep" = "0.1..10 log"\n',
    )
    found = read_tuning(path, ["head.dropout=0.1,0.5"])
    assert found.trials == 4
    assert found.shared.settings == {"data": "digits", "training.epochs": 2}
    alone, taught = found.arms
    assert list(alone.space) == ["training.learning_rate", "head.dropout"]
    assert taught.space == {**alone.space, "loss.rep": Between(0.1, 10, log=True)}
    assert taught.settings.settings == {"schedule": "serial"}


def test_an_arm_may_choose_for_all_and_one_that_tries_nothing_takes_over(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '[[arm]]\nname = "a"\nfor_all = true\ntry.k = [1, 2]\n[[arm]]\nname = "b"\n',
    )
    first, second = read_tuning(path, []).arms
    assert (first.for_all, second.for_all) == (True, False)
    assert second.space == {}


def test_without_a_file_the_flags_are_the_space_of_one_arm() -> None:
    (arm,) = read_tuning(None, ["training.learning_rate=0.001..0.1 log"]).arms
    assert arm.space == {"training.learning_rate": Between(0.001, 0.1, log=True)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing is tried for all; give [try] or --try"),
        ("trials = 0\n[try]\nk = [1, 2]", "trials = 0; it must be an integer from 1 to 10,000"),
        ("[try]\nk = 3", "k tries 3; write 0.001..0.1"),
        ("try = 3", "try is 3; it must be a table of settings"),
        ("[try]\nfoo = [1, 2]", "'foo' is not a setting"),
        ("[try]\nfoo.bar = [1, 2]", "'foo.bar' names no section"),
        ("arm = 3\n[try]\nk = [1, 2]", "an arm is a table of its own, [[arm]]; found 3"),
        ("[try]\nk = [1, 2]\n[[arm]]\nk = 3", "arm 1 has the name None"),
        (
            '[try]\nk = [1, 2]\n[[arm]]\nname = "a"\n[[arm]]\nname = "a"',
            "arm 2 has the name 'a'; it needs one of its own",
        ),
        (
            '[[arm]]\nname = "a"\nfor_all = true\n[[arm]]\nname = "b"\ntry.k = [1]',
            "nothing is tried",
        ),
        ('[try]\nk = [1]\n[[arm]]\nname = "a"\nlike = "a"', "no arm before it is called so"),
        ('[try]\nk = [1]\n[[arm]]\nname = "a"\nfor_all = 1', "for_all = 1; it is true or false"),
        ('[try]\nk = [1, 2]\n[[arm]]\nname = "a"\nfoo = 3', "'foo' is not a setting"),
    ],
)
def test_all_that_is_wrong_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        read_tuning(written(tmp_path, text), [])
    assert said in str(told.value)


def test_a_flag_without_values_is_told() -> None:
    with pytest.raises(ConfigError, match="--try takes SETTING=VALUES"):
        read_tuning(None, ["k"])


def test_no_bound_is_infinite() -> None:
    assert read_part(f"1..{math.inf}") is None
