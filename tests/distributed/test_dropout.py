"""Dropout on a batch that several processes share."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import dropout

from distillbench.distributed.dropout import shared_dropout
from distillbench.distributed.processes import SINGLE, Processes


def dropped(values: torch.Tensor, rank: int, count: int, twice: bool = False) -> torch.Tensor:
    """Applies dropout to a process's share of a batch's rows."""
    processes = Processes(rank, count)
    share = processes.share(len(values))
    torch.manual_seed(3)
    with shared_dropout(processes, share):
        rows = nn.Dropout(0.4)(values[share.computed])
        rows = dropout(rows, 0.2, training=True) if twice else rows
    return rows[: share.size]


@pytest.mark.parametrize("shape", [(7, 5), (7, 3, 4), (1, 6), (7,)])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_several_processes_drop_what_one_process_drops(shape, count):
    values = torch.randn(shape)
    torch.manual_seed(3)
    expected = dropout(dropout(values, 0.4, training=True), 0.2, training=True)
    assert torch.equal(
        torch.cat([dropped(values, rank, count, twice=True) for rank in range(count)]), expected
    )


def test_rows_that_are_not_videos_are_dropped_by_each_process_independently():
    packed = torch.ones(4000, 5)
    drawn = []
    for rank in (0, 1):
        processes = Processes(rank, 2)
        torch.manual_seed(3)
        with shared_dropout(processes, processes.share(8)):
            drawn.append(dropout(packed, 0.3, training=True))
        after = torch.rand(1)
        assert float((drawn[-1] == 0).float().mean()) == pytest.approx(0.3, abs=0.02)
        assert float(drawn[-1].max()) == pytest.approx(1 / 0.7)
        torch.manual_seed(3)
        assert torch.equal(after, torch.rand(1)), "the default generator is not used"
    assert not torch.equal(*drawn)


def test_the_gradient_is_masked_like_the_values():
    values = torch.ones(4, 3, requires_grad=True)
    processes = Processes(1, 2)
    with shared_dropout(processes, processes.share(8)):
        kept = dropout(values, 0.5, training=True)
    kept.sum().backward()
    assert torch.equal(values.grad, kept.detach())


def test_nothing_is_dropped_in_evaluation_and_everything_with_probability_one():
    values = torch.ones(4, 3)
    with shared_dropout(Processes(0, 2), Processes(0, 2).share(8)):
        assert torch.equal(dropout(values, 0.5, training=False), values)
        assert torch.equal(dropout(values, 1.0, training=True), 0 * values)
        changed = values.clone()
        assert dropout(changed, 0.5, training=True, inplace=True) is changed
    with shared_dropout(SINGLE, SINGLE.share(4)) as mode:
        assert mode is None
