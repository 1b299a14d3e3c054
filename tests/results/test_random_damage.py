"""Any damage at all ends in words and costs no other row."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from results.damage import (
    results_of,
)
from running import installed

from distillbench.analysis.loading import load
from distillbench.errors import DistillbenchError
from distillbench.reports.runs import StoredRuns, networks_with
from distillbench_plugins.reports.budget import Budget
from distillbench_plugins.reports.learning_curves import LearningCurves
from distillbench_plugins.reports.pareto import Pareto

Command = Callable[..., tuple[int, str, str]]
TABLES = ("table1", "table2", "table3", "table4", "controls", "claims")

_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        7,
        2**31,
        2**62,
        2**63,
        -(2**70),
        10**400,
        0.5,
        -0.5,
        1e-300,
        1e99,
        1e308,
    ),
    *(
        float("nan"),
        float("inf"),
        "",
        "x",
        "student",
        "teacher",
        "@SUM(1)",
        "../x",
        "/",
        "\0",
        "\ud800",
        "²",
        "9" * 99,
    ),
    *(
        "[/]",
        "2030",
        "int8",
        "k=3",
        [],
        [1],
        ["x"],
        [[]],
        {},
        {"x": 1},
        {"name": "x", "knobs": {}},
        [{"name": 1}, 2],
    ),
)


def mutate(content: Any, chance: random.Random) -> None:
    """Changes one place of a JSON document: its value, its name, or whether it is there."""
    while True:
        keys: list[Any] = list(content) if isinstance(content, dict) else list(range(len(content)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(content[key], (dict, list)) and content[key] and chance.random() < 0.85:
            content = content[key]
            continue
        action = chance.random()
        if action < 0.7:
            content[key] = copy.deepcopy(chance.choice(_VALUES))
        elif action < 0.85:
            del content[key]
        elif isinstance(content, dict):
            content[str(chance.choice(["", "x", "\x1b[1m", "seeds", "gap", "²", "1"]))] = (
                content.pop(key)
            )
        else:
            content.append(copy.deepcopy(chance.choice(_VALUES)))
        return


def spoil(file: Path, chance: random.Random) -> None:
    """Puts a damaged copy in a file's place: JSON changed in its structure, any other in some bytes."""
    raw = bytearray(file.read_bytes())
    file.unlink()
    if file.suffix == ".json" and chance.random() < 0.9:
        content = json.loads(raw)
        for _ in range(chance.choice([1, 1, 1, 2, 5])):
            mutate(content, chance)
        file.write_text(json.dumps(content))
        return
    for _ in range(chance.choice([1, 1, 4, 50])):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    cut = chance.random()
    file.write_bytes(
        raw[: chance.randrange(len(raw))] if cut < 0.1 else raw + raw[:9] if cut < 0.15 else raw
    )


def commands(folder: Path, keys: list[str], chance: random.Random) -> list[list[object]]:
    """Lists everything that reads results, with random options."""
    two = [chance.choice(keys), chance.choice(keys)]
    form = chance.choice(["table", "markdown", "csv", "json"])
    column = chance.choice(
        ["k", "seed", "loss", "preset", "warnings", "budget", "gap", "map", "cka", "device", "x"]
    )
    where = chance.choice([[], [], ["--where", f"{column}=3"], ["--where", "schedule.head=copy"]])
    each = chance.choice([[], ["--each"]])
    grouped = chance.choice(
        [
            [],
            [],
            ["--group-by", chance.choice(["k", "schedule", "loss", "budget", "seed", "macs"])],
            ["--sort", column],
            ["--top", 2],
        ]
    )
    sides = chance.choice(
        [["--a", "schedule=serial", "--b", "schedule=scratch", "--where", "k=3"], two]
    )
    subject = chance.choice(TABLES)
    shape = chance.choice(["rich", "markdown", "latex", "csv"])
    return [
        ["leaderboard", folder, "--format", form, *each, *where, *grouped],
        ["compare", *sides, "--results", folder, "--resamples", 100, "--format", form],
        ["show", two[0], "--results", folder],
        ["report", subject, "--results", folder, "--format", shape, *where],
    ]


def survives(made: Path, command: Command, seed: int) -> None:
    """Spoils a file or two of a folder and reads what is there."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(made, Path(place) / "results", copy_function=os.link))
        files = sorted(path for path in folder.rglob("*.*") if "network" not in path.name)
        spoilt = chance.sample(files, chance.choice([1, 1, 2]))
        for file in spoilt:
            spoil(file, chance)
        keys = [path.stem for path in results_of(folder)]
        arguments = chance.choice(commands(folder, keys, chance))
        code, _, err = command(*arguments)
        assert code in (0, 2), f"{arguments} {err}"
        found = load([folder])
        read = {result.path for result in found.results}
        assert {path for path in results_of(folder) if path not in spoilt} <= read
        assert all(
            path.name in " ".join(found.skipped) for path in results_of(folder) if path not in read
        )
        if chance.random() < 0.1:
            runs = functools.partial(StoredRuns, found.results, networks_with(installed()))
            for figure in (Pareto(), Budget(), LearningCurves()):
                with contextlib.suppress(DistillbenchError):
                    figure.make(runs())


ANY_FOLDER = [HealthCheck.function_scoped_fixture]


@settings(max_examples=50, deadline=None, suppress_health_check=ANY_FOLDER)
@given(seed=st.integers(0, 2**32))
def test_no_damage_ends_in_a_traceback_or_costs_another_row(
    made: Path, command: Command, seed: int
) -> None:
    survives(made, command, seed)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=ANY_FOLDER)
@given(seed=st.integers(0, 2**32))
def test_no_damage_of_hundreds_ends_in_a_traceback_or_costs_another_row(
    made: Path, command: Command, seed: int
) -> None:
    survives(made, command, seed)
