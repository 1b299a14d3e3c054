"""Every encoder and every head learns with the settings that the board of all methods has for it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from running import installed

from distillbench import api
from distillbench.toml_files import flat

ZOO = Path(__file__).resolve().parents[2] / "benchmarks" / "study" / "zoo.toml"
SHARES = 0.45
"""About what naming every class by its share of the videos makes on digits, GAP@20."""
USUAL = {"hrnn", "moe"}
"""The encoder and the head of all other tests of training."""


def alone() -> dict[str, dict[str, Any]]:
    """Returns the settings of each student alone with an encoder or a head of its own, by that."""
    content = tomllib.loads(ZOO.read_text(encoding="utf-8"))
    grids = content.pop("grid")
    del content["seed"]
    found = {}
    for grid in grids:
        named = grid.get("student", grid.get("head"))
        if grid["schedule"] == "scratch" and named:
            chosen = dict(flat(content)) | dict(flat(grid))
            found[named] = {name.removeprefix("set."): value for name, value in chosen.items()}
    return found


def test_every_shipped_encoder_and_head_is_trained_here() -> None:
    shipped = {
        component.name
        for component in installed()
        if component.kind in ("student", "head") and component.distribution == "distillbench"
    }
    assert shipped == {*alone(), *USUAL}


@pytest.mark.slow
@pytest.mark.parametrize("named", alone())
def test_an_encoder_or_a_head_learns_more_than_the_shares_of_the_classes(
    named: str, tmp_path: Path
) -> None:
    settings = {**alone()[named], "training.epochs": 6, "training.threads": 1}
    run = api.run(settings=settings, results=tmp_path)
    assert run.metrics["gap"] > SHARES + 0.15
