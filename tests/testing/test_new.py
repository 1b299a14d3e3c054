"""`distillbench new` refuses what cannot be, with one clear sentence."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("selektor", "mine", "there is no kind 'selektor', did you mean 'selector'?"),
        (
            "selector",
            "My_Selector",
            "lower-case words joined by hyphens, such as my-selector; found 'My_Selector'",
        ),
        ("selector", "uniform", "a component called 'uniform' is installed"),
        ("loss", "statistics", "a module 'statistics' would hide an installed one"),
    ],
)
def test_a_name_or_kind_that_cannot_be_is_refused(kind, name, said, command, tmp_path):
    code, _, err = command("new", kind, name, "--to", tmp_path)
    assert code == 2
    assert said in err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_left_alone(command, tmp_path):
    (tmp_path / "mine").mkdir()
    code, _, err = command("new", "loss", "mine", "--to", tmp_path)
    assert code == 2
    assert "exists already" in err
    assert not list((tmp_path / "mine").iterdir())


def test_it_says_what_to_do_next(command, tmp_path):
    code, out, _ = command("new", "student", "my-student", "--to", tmp_path)
    assert code == 0
    assert "pip install --editable" in out
    assert "distillbench check --from my-student" in out
    assert "distillbench run --student my-student" in out
