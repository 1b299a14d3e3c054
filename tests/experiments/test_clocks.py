"""No number and no key depends on a clock, nor on whether the processor multiplies bf16."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from running import run_experiment

from distillbench.config.run_spec import RunSpec
from distillbench.experiments.context import RunContext
from distillbench.networks import has_bf16, precision_on
from distillbench.results.store import Result
from distillbench.storage import load_tensors

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
MEASURED = (
    "seconds",
    "latency",
    "evaluation_seconds",
    "seconds_of_this_run",
    "finished",
    "files",
    "load",
)

Make = Callable[..., RunSpec]


@pytest.fixture(params=[True, False], ids=["bf16 present", "bf16 absent"])
def bf16(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Makes the processor say that it has bf16 instructions, or that it has none."""
    for question in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, question, lambda: request.param)
    return bool(request.param)


def lie(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Makes every clock go forward at random: by a microsecond or by minutes."""
    drawn = random.Random(seed)
    now = itertools.accumulate(10 ** drawn.uniform(-6, 2.5) for _ in itertools.count())
    for clock in ("perf_counter", "monotonic", "time"):
        monkeypatch.setattr(time, clock, now.__next__)


def numbers(value: Any, name: str = "") -> Iterator[tuple[str, object]]:
    """Yields every leaf of a result that no clock should reach."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in MEASURED:
                yield from numbers(inner, f"{name}.{key}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from numbers(inner, f"{name}.{place}")
    else:
        yield name, value


def everything(result: Result) -> tuple[dict[str, object], dict[str, list[Any]], set[str]]:
    """A result's numbers, its weights, and the names of what was stored under a key."""
    weights = {
        name: tensor.tolist() for name, tensor in load_tensors(result.student_path())[0].items()
    }
    folder = result.path.parent
    return (
        dict(numbers(result.content)),
        weights,
        {p.name for p in (folder / "teachers").rglob("*.safetensors")},
    )


@pytest.mark.parametrize("schedule", ["serial", "parallel"])
def test_a_lying_clock_changes_no_number_and_no_key(
    make_spec: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, schedule: str
) -> None:
    honest = everything(
        run_experiment(make_spec(schedule=schedule), RunContext(tmp_path / "honest"))
    )
    for seed in range(3):
        for has in (True, False):
            with monkeypatch.context() as patched:
                for question in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
                    patched.setattr(torch.cpu, question, lambda has=has: has)
                lie(patched, seed)
                place = RunContext(tmp_path / f"lied {seed} {has}")
                assert everything(run_experiment(make_spec(schedule=schedule), place)) == honest


@pytest.mark.parametrize("asked", ["auto", "fp32", "bf16"])
def test_on_a_processor_auto_is_fp32_whatever_it_has(
    make_spec: Make, tmp_path: Path, bf16: bool, asked: str
) -> None:
    assert has_bf16(CPU) is bf16
    result = run_experiment(
        make_spec(f"training.precision={asked}", schedule="scratch"), RunContext(tmp_path)
    )
    assert result.content["machine"]["precision"] == ("bf16" if asked == "bf16" else "fp32")


def test_what_a_clock_chose_before_there_was_a_rule_is_answered_again(
    make_spec: Make, tmp_path: Path
) -> None:
    spec = make_spec(schedule="scratch")
    first = run_experiment(spec, RunContext(tmp_path))
    changed = json.loads(first.path.read_text())
    changed["machine"]["precision"] = "bf16"
    first.path.write_text(json.dumps(changed))
    again = run_experiment(spec, RunContext(tmp_path))
    assert again.content["machine"]["precision"] == "fp32"
    assert again.content["metrics"] == first.content["metrics"]
    assert (
        run_experiment(spec, RunContext(tmp_path)).content["finished"] == again.content["finished"]
    )


@pytest.mark.parametrize("has", [True, False])
def test_on_a_gpu_auto_is_bf16_where_its_hardware_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, has: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has)
    assert precision_on(CUDA, "auto") == ("bf16" if has else "fp32")
    assert precision_on(CUDA, "fp32") == "fp32"
    assert precision_on(CUDA, "bf16") == "bf16"


def test_the_plan_tells_what_a_step_takes_in_each_precision_and_decides_nothing(
    command: Callable[..., tuple[int, str, str]], tiny: list[str], bf16: bool, tmp_path: Path
) -> None:
    code, _, err = command(
        "run", *tiny, "--schedule", "scratch", "--plan", "--results", tmp_path / "none"
    )
    assert code == 0
    assert "precision fp32 on this cpu, chosen by auto" in err
    assert (" ms in bf16" in err) is bf16
    assert not (tmp_path / "none").exists()
