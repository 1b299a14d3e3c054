"""What is written for CUDA runs on a made-up GPU, finds the CPU's numbers to the last bit, and does not wait for it.

`made_up_gpu.py` says what it refuses and counts. Beside the runs here, branches for CUDA that need no tensor are tested
one by one. What no machine without a GPU reaches, and is therefore untested:

- page-locked memory itself (`pin_memory`), and that a copy from it overlaps with computing; that it is asked for is tested;
- nccl between processes (`distributed.processes.joined`, `_all_rows`, `_Sum`), and dropout that processes share
  (`distributed.dropout`), whose generator is on the GPU;
- torch's kernels of CUDA: cuDNN below `nn.LSTM` and `nn.GRU`, fused Adam, autocast's own list of operators for CUDA (the
  CPU's is in force here), the order in which they add numbers up;
- the allocator: what `max_memory_allocated` returns is made up, and memory that runs out never does;
- CUDA graphs, which `benchmarks/speed/gpu.py` alone captures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from distillbench.data.memory.buffer_pool import BufferPool
from distillbench.distributed.processes import Processes, _use_own_gpu
from distillbench.errors import ConfigError
from distillbench.experiments.context import find_device
from distillbench.training.output_cache import CachedOutputs

SELECT = (
    "selector gumbel",
    "selector one-step-policy",
    "match-saliency",
    "rank-frames",
    "reinforce",
)
"""Runs in which a network selects frames. Their number decides shapes, so they wait for it in every step."""
SCENARIOS = Path(__file__).with_name("scenarios.py")


def outcomes(group: str) -> dict[str, Any]:
    """Runs a group of scenarios in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCENARIOS), group],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(line) for line in done.stdout.splitlines())


def require_equal(found: dict[str, Any], fewest: int) -> None:
    """Fails where a run failed, differs from the CPU's, or waited in a step."""
    assert found.pop("calls")["manual_seed_all"], "the generators of CUDA are seeded"
    assert len(found) >= fewest, sorted(found)
    wrong = {
        name: one
        for name, one in found.items()
        if one.get("differing") != [] or (one["waits"] and name not in SELECT)
    }
    assert not wrong, json.dumps(wrong, indent=1)


def test_a_run_in_each_precision_finds_the_numbers_of_the_cpu_without_waiting() -> None:
    require_equal(outcomes("precisions"), 2)


@pytest.mark.slow
@pytest.mark.parametrize(("group", "fewest"), [("schedules", 15), ("networks", 25), ("losses", 25)])
def test_every_shipped_component_does(group: str, fewest: int) -> None:
    require_equal(outcomes(group), fewest)


@pytest.mark.slow
def test_a_whole_run_tells_of_the_gpu_and_measures_it() -> None:
    found = outcomes("runs")
    calls = found.pop("calls")
    for precision, run in found.items():
        assert run["differing"] == []
        assert run["machine"]["device"] == "cuda"
        assert run["machine"]["device_name"] == "a GPU that is made up"
        assert run["machine"]["precision"] == precision
        assert run["memory_of_activations"] == 4000, (
            "the most that was allocated, less what was before"
        )
        assert sorted(run["seconds_a_step"]) == ["bf16", "fp32"]
    assert calls["reset_peak_memory_stats"] == len(found)
    assert calls["synchronize"] == 8 * len(found), "four steps in each precision"


def test_a_pool_for_cuda_lends_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    lent: list[bool] = []
    empty = torch.empty

    def noted(*shape: int, pin_memory: bool = False, **more: Any) -> torch.Tensor:
        lent.append(pin_memory)
        return empty(*shape, **more)

    monkeypatch.setattr(torch, "empty", noted)
    assert BufferPool(pinned=True).empty((2, 3), torch.uint8).shape == (2, 3)
    cached = CachedOutputs({0: torch.ones(4, 2, dtype=torch.float16)}, 4, 2, 4)
    assert cached.rows(torch.tensor([1, 3]), pinned=True).tolist() == [[1, 1], [1, 1]]
    assert lent == [True, True]


def test_each_process_uses_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", used.append)
    _use_own_gpu(Processes(rank=3, count=4, local_rank=1, local_world_size=2))
    assert used == [1]
    with pytest.raises(ConfigError, match="3 processes need a GPU each, and this machine has 2"):
        _use_own_gpu(Processes(rank=0, count=3, local_rank=0, local_world_size=3))
    assert used == [1]


@pytest.mark.parametrize(
    ("requested", "is_there", "found"),
    [("auto", True, "cuda"), ("auto", False, "cpu"), ("cuda", True, "cuda"), ("cpu", True, "cpu")],
)
def test_a_gpu_is_used_where_there_is_one(
    requested: str, is_there: bool, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_there)
    assert find_device(requested).type == found
