"""How many runs the executor `local` makes at once, and how it is asked; `experiments/test_sweep.py` kills its processes."""

from __future__ import annotations

import os

import pytest

from distillbench.config.run_spec import Choice
from distillbench.interfaces import Demand


def built(registry, demand, **knobs):
    return Choice(registry.find("executor", "local"), knobs).build(demand)


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_are_as_many_as_requested(registry, workers):
    assert built(registry, Demand(1, 0, "cpu"), workers=workers).free == workers


def test_auto_never_has_more_workers_than_runs_nor_than_cores_and_one_on_a_gpu(registry):
    cores = len(os.sched_getaffinity(0))
    assert built(registry, Demand(1, 1, "cpu")).free == 1
    assert built(registry, Demand(9999, 1, "cpu")).free == cores
    assert built(registry, Demand(9999, 0, "cpu")).free == 1, "each run takes every core"
    assert built(registry, Demand(9999, 2 * cores, "cpu")).free == 1
    assert built(registry, Demand(9999, 1, "cuda")).free == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ["--workers", "0"],
            "executor local: workers takes auto or an integer of at least 1; found 0",
        ),
        (
            ["--workers", "-1"],
            "executor local: workers takes auto or an integer of at least 1; found -1",
        ),
        (["--workers", "many"], "executor local: knob 'workers' takes auto | int, found 'many'"),
        (
            ["--set", "executor.workers=1.5"],
            "executor local: knob 'workers' takes auto | int, found '1.5'",
        ),
        (
            ["--set", "executor.worker=2"],
            "executor local has no knob 'worker', did you mean 'workers'?",
        ),
        (["--executor", "locall"], "no executor is called 'locall', did you mean 'local'?"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(command, tiny, tmp_path, flags, said):
    code, _, err = command("sweep", *tiny, *flags, "--results", tmp_path / "results")
    assert code == 2
    assert said in err.replace("\n", " ")
    assert not (tmp_path / "results").exists()


def test_knobs_of_the_executor_are_no_part_of_a_runs_key(command, tiny, tmp_path):
    told = []
    for flags in (["--workers", "3"], ["--executor", "local", "--set", "executor.workers=3"], []):
        flags = [*flags, "--seed", "0:3", "--dry-run", "--results", tmp_path]
        code, _, err = command("sweep", *tiny, *flags)
        assert code == 0, err
        told.append([line.strip() for line in err.splitlines()])
    assert told[0] == told[1]
    assert any(line.split() == ["workers", "3", "at", "once"] for line in told[0])
    assert told[0][-3:] == told[2][-3:], "the lines with the runs' keys"


def test_a_run_takes_no_executor(command, tiny, tmp_path):
    code, _, err = command("run", *tiny, "--set", "executor.workers=2", "--results", tmp_path)
    assert code == 2
    assert "'executor.workers' names no section" in err
