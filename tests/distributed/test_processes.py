"""How rows are shared and exchanged, and what happens when a process fails."""

from __future__ import annotations

import pytest
import torch
from distributed.launch import ended, launch
from hypothesis import given
from hypothesis import strategies as st

from distillbench.distributed.processes import SINGLE, Processes, joined
from distillbench.errors import ConfigError

CPU = torch.device("cpu")


@given(rows=st.integers(1, 300), count=st.integers(1, 9), unit=st.integers(1, 40))
def test_shares_are_contiguous_and_differ_by_at_most_one_unit(rows, count, unit):
    shares = [Processes(rank, count).share(rows, unit) for rank in range(count)]
    order = torch.arange(rows)
    assert torch.equal(torch.cat([order[share.own] for share in shares]), order)
    units = [-(-share.size // unit) for share in shares]
    assert max(units) - min(units) <= 1
    assert all(share.whole == rows and share.size == len(order[share.own]) for share in shares)
    assert shares[0].size > 0
    assert all(len(order[share.computed]) == max(share.size, 1) for share in shares)


def test_a_single_process_returns_its_arguments():
    values = torch.randn(3, 2)
    assert SINGLE.gather(values, SINGLE.share(3)) is values
    assert SINGLE.gather_uneven(values) is values
    assert SINGLE.sum(values) is values
    assert SINGLE.broadcast(lambda: 7) == 7
    with joined(CPU) as processes:
        assert processes is SINGLE


def test_missing_variables_of_torchrun_are_named(monkeypatch):
    for name, value in {
        "RANK": "0",
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(
            ConfigError, match="LOCAL_WORLD_SIZE, MASTER_PORT is not set; torchrun sets them all"
        ),
        joined(CPU),
    ):
        pass


TYPES = """
import torch
from distillbench.distributed.processes import joined
with joined(torch.device("cpu")) as processes:
    share = processes.share(5)
    for dtype in (torch.float64, torch.bfloat16, torch.int16, torch.bool, torch.int64):
        whole = (torch.arange(15).view(5, 3) % 2).to(dtype)
        assert torch.equal(processes.gather(whole[share.own], share), whole), dtype
    uneven = torch.arange(3.0)[: 3 * processes.rank]
    assert torch.equal(processes.gather_uneven(uneven), torch.arange(3.0))
    assert len(processes.gather_uneven(uneven[:0])) == 0
    assert processes.largest(processes.rank) == 1
    assert processes.broadcast(lambda: processes.rank) == 0
    used, unused, here = (torch.ones(2, requires_grad=True) for _ in range(3))
    (used.sum() + (here.sum() if processes.rank else 0.0)).backward()
    processes.sum_gradients([used, unused, here])
    assert used.grad.tolist() == [2.0, 2.0] and unused.grad is None and here.grad.tolist() == [1.0, 1.0]
    values = torch.arange(5.0)[share.own].requires_grad_()
    (processes.gather(values, share).square().sum() / processes.count).backward()
    assert torch.equal(values.grad, 2 * torch.arange(5.0)[share.own])
"""

ONE_FAILS = """
import torch
from distillbench.distributed.processes import joined
with joined(torch.device("cpu")) as processes:
    if processes.rank == 1:
        raise ValueError("only the second process has this problem")
    processes.sum(torch.zeros(1))
"""


def test_rows_of_every_dtype_are_gathered_and_gradients_are_summed():
    results = ended(launch(2, ["-c", TYPES]))
    assert [code for code, _ in results] == [0, 0], results


def test_a_process_that_fails_ends_the_others_and_reports_the_reason():
    (first, other_output), (second, reported) = ended(launch(2, ["-c", ONE_FAILS]))
    assert first != 0
    assert second != 0
    assert "only the second process has this problem" in reported
    assert "Traceback" not in other_output or "another process of this run ended" in other_output


def test_a_problem_of_all_processes_is_reported_once():
    (first, reported), (second, other_output) = ended(
        launch(2, ["-m", "distillbench", "run", "--data", "nowhere"])
    )
    assert (first, second) == (2, 1)
    assert reported.count("nowhere") == 1
    assert "nowhere" not in other_output
