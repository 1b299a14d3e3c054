"""Sizes on the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from distillbench.cli.render.sizes import bytes_of
from distillbench.cli.run import run
from distillbench.cli.sweep import sweep
from distillbench.errors import ConfigError
from distillbench.training.output_cache import BUDGET

Command = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("500MB", 5 * 10**8),
        ("20 gb", 2 * 10**10),
        ("1.5kB", 1500),
        ("2GiB", 2**31),
        ("7b", 7),
        ("1TB", 10**12),
    ],
)
def test_a_size_is_a_number_and_a_unit(text: str, expected: int) -> None:
    assert bytes_of(text, "--size") == expected


@pytest.mark.parametrize("text", ["", "20", "-1GB", "lots", "20G", "1,5GB", "GB", "1e3MB", "nan"])
def test_anything_else_is_refused_with_what_was_found(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--size takes a size .* 20GB, or 0; found"):
        bytes_of(text, "--size")


@pytest.mark.parametrize("name", ["run", "sweep"])
def test_a_budget_that_is_not_a_size_is_refused_before_anything_is_trained(
    command: Command, tiny: list[str], tmp_path: Path, name: str
) -> None:
    code, _, err = command(
        name, *tiny, "--cache-budget", "plenty", "--results", tmp_path / "results"
    )
    assert code == 2
    assert "found 'plenty'" in err
    assert not (tmp_path / "results").exists()


def test_the_budget_does_not_change_the_run(
    command: Command, tiny: list[str], tmp_path: Path
) -> None:
    arguments = ["run", *tiny, "--set", "training.epochs=1", "--results", tmp_path]
    first = command(*arguments, "--cache-budget", "0")
    assert first[0] == 0
    assert "holds the teacher's outputs for 0 of 64 training videos" in first[2]
    assert not (tmp_path / "teachers" / "signals").exists()
    assert "stored already" in command(*arguments, "--cache-budget", "1GB")[2]


@pytest.mark.parametrize("command", [run, sweep])
def test_the_default_in_the_help_is_the_default_budget(command: Callable[..., None]) -> None:
    default = inspect.signature(command).parameters["cache_budget"].default
    assert bytes_of(default, "--cache-budget") == BUDGET
