from __future__ import annotations

import multiprocessing
import threading
from multiprocessing.queues import SimpleQueue

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillbench.data.memory.threads import in_shares

LARGE = 1 << 30


@given(rows=st.integers(1, 300), size=st.sampled_from([0, 4 << 20, 9 << 20, LARGE]))
@settings(max_examples=50, deadline=None)
def test_every_row_is_worked_on_once(rows: int, size: int) -> None:
    seen: list[slice] = []
    in_shares(seen.append, rows, size)
    assert sorted(row for share in seen for row in range(rows)[share]) == list(range(rows))
    assert size or seen == [slice(0, rows)]


def test_little_work_stays_in_its_thread() -> None:
    seen: list[int] = []
    in_shares(lambda _: seen.append(threading.get_ident()), 1000, 1000)
    assert seen == [threading.get_ident()]


def test_an_error_of_one_share_is_raised() -> None:
    def work(rows: slice) -> None:
        if rows.start == 0:
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        in_shares(work, 100, LARGE)


def _rows_seen(queue: SimpleQueue[int]) -> None:
    seen: list[slice] = []
    in_shares(seen.append, 100, LARGE)
    queue.put(sum(share.stop - share.start for share in seen))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    in_shares(lambda _: None, 100, LARGE)
    context = multiprocessing.get_context("fork")
    queue: SimpleQueue[int] = context.SimpleQueue()
    child = context.Process(target=_rows_seen, args=(queue,))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert queue.get() == 100
