"""The processes of one run: which rows each computes, and how they exchange results.

`torchrun` starts them and sets their addresses. A run in one process uses `SINGLE`, for which every
operation here returns its argument, so a run has the same code for one process and for many.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from distillbench.errors import ConfigError, TrainingError

T = TypeVar("T")

_CONNECT_TIMEOUT = timedelta(minutes=5)
# Longer than one process may work alone, such as on the index of a large data set.
_MESSAGE_TIMEOUT = timedelta(hours=1)
_REPORT_SECONDS = 3.0  # how long a failed process waits for another one to report the failure
_FAILED = "distillbench failed"  # a key in the store, counted up by each process that fails


@dataclass(frozen=True)
class Share:
    """The rows of a batch that one of several processes computes.

    bounds: process p has the rows from `bounds[p]` up to `bounds[p + 1]`; some may have none.
    rank: the process whose share it is.
    """

    bounds: tuple[int, ...]
    rank: int

    @property
    def whole(self) -> int:
        """The number of rows of all shares together."""
        return self.bounds[-1]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of rows of each process."""
        return tuple(stop - start for start, stop in pairwise(self.bounds))

    @property
    def size(self) -> int:
        """The number of rows of this process."""
        return self.sizes[self.rank]

    @property
    def own(self) -> slice:
        """The rows of this process."""
        return slice(self.bounds[self.rank], self.bounds[self.rank + 1])

    @property
    def computed(self) -> slice:
        """The rows that this process computes: its own, or one as a stand-in if it has none.

        Without the stand-in a process would know neither the shapes of what the others send nor
        which weights get a gradient. `gather` leaves the stand-in out, so nothing learns from it.
        """
        return self.own if self.size else slice(self.whole - 1, self.whole)


@dataclass(frozen=True)
class Processes:
    """The processes of one run, as one of them sees them.

    rank: the number of this process, from 0.
    count: the number of processes.
    local_rank: the number of this process among those on its machine.
    local_world_size: the number of processes on its machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files, reports progress and reads the clock for all."""
        return self.rank == 0

    def share(self, rows: int, unit: int = 1) -> Share:
        """Divides rows into contiguous shares that differ by at most one unit.

        rows: the number of rows; with at least one, the main process gets some.
        unit: the number of rows that stay together, such as those of a batch.
        """
        units = _divided_up(rows, unit)
        bounds = []
        for process in range(self.count + 1):
            units_before = _divided_up(process * units, self.count)
            bounds.append(min(rows, units_before * unit))
        return Share(tuple(bounds), self.rank)

    def gather(self, own: Tensor, share: Share) -> Tensor:
        """Concatenates the rows of all processes in order, bit by bit; differentiable.

        Every process must compute the same loss of the gathered rows, and return 1 / count of it.
        The gradient of its own rows is then multiplied by count, so the backward pass sends
        nothing.
        """
        if self.count == 1:
            return own
        rows = own[: share.size]
        gathered: Tensor = _Gather.apply(rows, self, share)  # type: ignore[no-untyped-call]
        return gathered

    def gather_uneven(self, own: Tensor) -> Tensor:
        """Concatenates the rows of all processes, whose numbers need not be known; no gradient."""
        if self.count == 1:
            return own
        own_size = torch.eye(self.count, dtype=torch.int64)[self.rank] * len(own)
        sizes = self.sum(own_size).tolist()
        return _all_rows(own, sizes)

    def sum(self, own: Tensor) -> Tensor:
        """Adds up the processes' tensors, element by element; differentiable as `gather` is."""
        if self.count == 1:
            return own
        total: Tensor = _Sum.apply(own, self.count)  # type: ignore[no-untyped-call]
        return total

    def largest(self, own: int) -> int:
        """Returns the largest of the processes' numbers."""
        if self.count == 1:
            return own
        found = torch.tensor(own)
        with _lost_process_reported():
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return int(found)

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replaces every process's gradients by their sum over all processes, in one message.

        A parameter without a gradient in any process keeps none.
        """
        if self.count == 1:
            return
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        # One flag per parameter, summed as well: whether some process has a gradient for it.
        has_gradient = torch.tensor(
            [float(p.grad is not None) for p in parameters], device=gradients[0].device
        )
        pieces = [*gradients, has_gradient]
        flat = torch.cat([piece.reshape(-1) for piece in pieces])
        with _lost_process_reported():
            dist.all_reduce(flat)
        *sums, flags = torch.split(flat, [piece.numel() for piece in pieces])
        for parameter, gradient, total, flag in zip(
            parameters, gradients, sums, flags, strict=True
        ):
            # The flag is on the device: reading it waits, so it is read only if it decides.
            if parameter.grad is not None or flag > 0:
                parameter.grad = gradient.copy_(total.view_as(gradient))

    def broadcast(self, compute: Callable[[], T]) -> T:
        """Computes a value in the main process, and returns it in every process."""
        if self.count == 1:
            return compute()
        value: list[Any] = [compute() if self.is_main else None]
        with _lost_process_reported():
            dist.broadcast_object_list(value, src=0, device=torch.device("cpu"))
        return value[0]  # type: ignore[no-any-return]

    def main_first(self, do: Callable[[], T]) -> T:
        """Does something in the main process first, so that the others find the files it wrote."""
        if self.is_main:
            done = do()
            self.broadcast(lambda: None)
            return done
        self.broadcast(lambda: None)
        return do()


SINGLE = Processes()
"""The only process of a run."""


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Connects the processes that `torchrun` started, and disconnects them; else yields `SINGLE`.

    Messages between CPUs go through gloo, between GPUs through nccl. If a process fails, the others
    end as well, and one of them reports why.

    Raises `ConfigError` if the other processes cannot be reached.
    """
    if launched() == 1:
        yield SINGLE
        return
    processes = _from_environment()
    if device.type == "cuda":
        _use_own_gpu(processes)
    # Both backends on GPUs: what Python computes, such as a broadcast, stays on the CPU.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    store = _connected(processes, backend)
    try:
        yield processes
    except BaseException as error:
        if not _is_reporter(processes, store):
            # An exit without a traceback: another process reports the failure.
            raise SystemExit(130 if isinstance(error, KeyboardInterrupt) else 1) from error
        raise
    finally:
        dist.destroy_process_group()


def launched() -> int:
    """Returns the number of processes that `torchrun` started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def _from_environment() -> Processes:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    missing = [name for name in (*names, "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ConfigError(
            [
                f"several processes were requested, and {', '.join(missing)} is not set; "
                "torchrun sets them all"
            ]
        )
    return Processes(*(int(os.environ[name]) for name in names))


def _use_own_gpu(processes: Processes) -> None:
    found = torch.cuda.device_count()
    if processes.local_world_size > found:
        raise ConfigError(
            [
                f"{processes.local_world_size} processes need a GPU each, "
                f"and this machine has {found}; "
                f"--nproc-per-node {found} uses them all, --device cpu none"
            ]
        )
    torch.cuda.set_device(processes.local_rank)


def _connected(processes: Processes, backend: str) -> Store:
    """Waits for all processes, and returns the store of short messages that they share."""
    try:
        store: Store = next(rendezvous("env://", timeout=_CONNECT_TIMEOUT))[0]
        # Waited for here, with the short timeout: the process group waits with the long one.
        store.set(f"arrived {processes.rank}", "")
        store.wait([f"arrived {rank}" for rank in range(processes.count)], _CONNECT_TIMEOUT)
        dist.init_process_group(
            backend,
            store=PrefixStore("distillbench", store),
            rank=processes.rank,
            world_size=processes.count,
            timeout=_MESSAGE_TIMEOUT,
        )
    except (RuntimeError, ValueError) as error:  # torch's connection errors are RuntimeErrors
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise ConfigError(
            [
                f"process {processes.rank} of {processes.count} could not reach the others at "
                f"{address} within {_CONNECT_TIMEOUT.seconds // 60} minutes: "
                f"{str(error).splitlines()[0]}"
            ]
        ) from error
    return store


def _is_reporter(processes: Processes, store: Store) -> bool:
    """Tells whether this process, which failed, is the one to report it.

    That is the main process if it fails too, otherwise the first one that fails.
    """
    try:
        if not processes.is_main:
            deadline = time.monotonic() + _REPORT_SECONDS
            while time.monotonic() < deadline and not store.check([_FAILED]):
                time.sleep(0.05)
        # Adding is atomic: the first process to do it gets 1.
        return bool(store.add(_FAILED, 1) == 1)
    except RuntimeError:  # the store ended with the process that held it
        return processes.is_main


@contextmanager
def _lost_process_reported() -> Iterator[None]:
    """Turns an error of torch's communication into a `TrainingError`."""
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            "another process of this run ended or cannot be reached; "
            "the same command resumes from the last checkpoint"
        ) from error


class _Gather(torch.autograd.Function):
    """(own rows, processes, share) -> all rows."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, processes: Processes, share: Share) -> Tensor:
        ctx.own = share.own
        ctx.count = processes.count
        return _all_rows(own, share.sizes)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient[ctx.own] * ctx.count, None, None


class _Sum(torch.autograd.Function):
    """(own addend, count) -> sum."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, count: int) -> Tensor:
        ctx.count = count
        total = own.clone()  # `all_reduce` overwrites it
        with _lost_process_reported():
            dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.count, None


def _all_rows(own: Tensor, sizes: Sequence[int]) -> Tensor:
    """Concatenates the rows of all processes, which have `sizes` rows each."""
    if not any(sizes):
        return own
    # `all_gather` takes equal sizes: each process pads its rows to the largest number.
    padded = own.new_zeros(max(sizes), *own.shape[1:])
    padded[: len(own)] = own
    # As bytes: gloo and nccl do not send every dtype.
    sent = padded.view(len(padded), -1).view(torch.uint8)
    received = sent.new_empty(len(sizes), *sent.shape)
    with _lost_process_reported():
        dist.all_gather(list(received), sent)
    rows = torch.cat([part[:size] for part, size in zip(received, sizes, strict=True)])
    return rows.view(own.dtype).view(-1, *own.shape[1:])


def _divided_up(number: int, by: int) -> int:
    """Divides and rounds up."""
    return -(-number // by)
