"""Several processes that make one run together: who they are, what each does, and how they join what they did.

`torchrun` starts them and tells them of one another. What is done alone is done by `SINGLE`, for which every operation
here is the identity, so that the code of a run is the same for one process and for many.
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

_MEETING = timedelta(minutes=5)
_PATIENCE = timedelta(
    hours=1
)  # longer than one process may work alone, such as on the index of a large data set
_GRACE = 3.0  # seconds in which the writer, or whoever failed first, may say why
_FAILED = "distillbench failed"


@dataclass(frozen=True)
class Share:
    """The rows of something that one of several processes answers for.

    bounds: process p has the rows from `bounds[p]` up to `bounds[p + 1]`; some may have none. rank: whose share it is.
    """

    bounds: tuple[int, ...]
    rank: int

    @property
    def whole(self) -> int:
        """How many rows all shares have together."""
        return self.bounds[-1]

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many rows each process has."""
        return tuple(stop - start for start, stop in pairwise(self.bounds))

    @property
    def size(self) -> int:
        """How many rows this process has."""
        return self.sizes[self.rank]

    @property
    def own(self) -> slice:
        """The rows that this process has."""
        return slice(self.bounds[self.rank], self.bounds[self.rank + 1])

    @property
    def computed(self) -> slice:
        """The rows that this process computes: its own, or one as a stand-in where it has none.

        Without the stand-in a process would know neither the shapes of what the others send nor which weights get a
        gradient; `gather` leaves it out, so nothing learns from it.
        """
        return self.own if self.size else slice(self.whole - 1, self.whole)


@dataclass(frozen=True)
class Processes:
    """The processes of one run, seen by one of them: the `rank`-th of `count`.

    neighbours: how many of them share this machine; local_rank: which of those this one is.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @property
    def is_main(self) -> bool:
        """Tells whether this process writes files, shows what happens and decides what depends on the clock."""
        return self.rank == 0

    def share(self, rows: int, unit: int = 1) -> Share:
        """Shares rows out in contiguous pieces that differ by at most one `unit`, such as a batch; the writer has some."""
        units = -(-rows // unit)
        return Share(
            tuple(min(rows, -(-p * units // self.count) * unit) for p in range(self.count + 1)),
            self.rank,
        )

    def gather(self, mine: Tensor, share: Share) -> Tensor:
        """Joins the rows of all processes in order; differentiable, bits unchanged.

        Each process is expected to compute the same loss of what was gathered, and to answer for 1 / count of it: the
        gradient of its own rows is multiplied by count, so that nothing need be sent on the way back.
        """
        if self.count == 1:
            return mine
        joined: Tensor = _Gathered.apply(mine[: share.size], self, share)  # type: ignore[no-untyped-call]
        return joined

    def gather_uneven(self, mine: Tensor) -> Tensor:
        """Joins the rows of all processes in order where nobody knows how many the others have; no gradient."""
        if self.count == 1:
            return mine
        sizes = self.sum(torch.eye(self.count, dtype=torch.int64)[self.rank] * len(mine)).tolist()
        return _joined(mine, sizes)

    def sum(self, mine: Tensor) -> Tensor:
        """Adds up what each process has, element by element; differentiable in the sense of `gather`."""
        if self.count == 1:
            return mine
        total: Tensor = _Summed.apply(mine, self.count)  # type: ignore[no-untyped-call]
        return total

    def largest(self, mine: int) -> int:
        """Finds the largest of the processes' numbers."""
        if self.count == 1:
            return mine
        found = torch.tensor(mine)
        with _reaching_the_others():
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return int(found)

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Gives every process the sum of all processes' gradients, in one message.

        A parameter that no process has a gradient for keeps none.
        """
        if self.count == 1:
            return
        pieces = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        reached = torch.tensor(
            [float(p.grad is not None) for p in parameters], device=pieces[0].device
        )
        flat = torch.cat([piece.reshape(-1) for piece in (*pieces, reached)])
        with _reaching_the_others():
            dist.all_reduce(flat)
        *sums, reached = torch.split(flat, [piece.numel() for piece in (*pieces, reached)])
        for parameter, piece, total, anywhere in zip(
            parameters, pieces, sums, reached, strict=True
        ):
            if (
                parameter.grad is not None or anywhere > 0
            ):  # the flag lies on the device: looked at where it matters
                parameter.grad = piece.copy_(total.view_as(piece))

    def broadcast(self, choose: Callable[[], T]) -> T:
        """Lets the writer choose, and returns its choice in every process."""
        if self.count == 1:
            return choose()
        choice: list[Any] = [choose() if self.is_main else None]
        with _reaching_the_others():
            dist.broadcast_object_list(choice, src=0, device=torch.device("cpu"))
        return choice[0]  # type: ignore[no-any-return]

    def main_first(self, do: Callable[[], T]) -> T:
        """Does something in the writer, then in the others, which find what it left for them."""
        if self.is_main:
            done = do()
            self.broadcast(lambda: None)
            return done
        self.broadcast(lambda: None)
        return do()


SINGLE = Processes()
"""One process alone."""


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Meets the other processes that `torchrun` started, works with them, and parts; `SINGLE` where there are none.

    Messages between CPUs go through gloo, between GPUs through nccl. Where a process fails, the others end as well; one
    of them tells why. Raises `ConfigError` where the others cannot be met.
    """
    if launched() == 1:
        yield SINGLE
        return
    processes = _from_environment()
    if device.type == "cuda":
        _take_gpu(processes)
    store = _met(processes, "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield processes
    except BaseException as error:
        if not _speaks(processes, store):
            raise SystemExit(130 if isinstance(error, KeyboardInterrupt) else 1) from error
        raise
    finally:
        dist.destroy_process_group()


def launched() -> int:
    """How many processes `torchrun` started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def _from_environment() -> Processes:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    missing = [name for name in (*names, "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ConfigError(
            [
                f"several processes were asked for, and {', '.join(missing)} is not set; torchrun sets them all"
            ]
        )
    return Processes(*(int(os.environ[name]) for name in names))


def _take_gpu(processes: Processes) -> None:
    found = torch.cuda.device_count()
    if processes.local_world_size > found:
        raise ConfigError(
            [
                f"{processes.local_world_size} processes need a GPU each, and this machine has {found}; "
                f"--nproc-per-node {found} uses them all, --device cpu none"
            ]
        )
    torch.cuda.set_device(processes.local_rank)


def _met(processes: Processes, backend: str) -> Store:
    try:
        store: Store = next(rendezvous("env://", timeout=_MEETING))[0]
        store.set(f"arrived {processes.rank}", "")
        store.wait([f"arrived {rank}" for rank in range(processes.count)], _MEETING)
        dist.init_process_group(
            backend,
            store=PrefixStore("distillbench", store),
            rank=processes.rank,
            world_size=processes.count,
            timeout=_PATIENCE,
        )
    except (
        RuntimeError,
        ValueError,
    ) as error:  # torch's own errors of stores and connections are RuntimeErrors
        raise ConfigError(
            [
                f"process {processes.rank} of {processes.count} did not meet the others at {os.environ['MASTER_ADDR']}:"
                f"{os.environ['MASTER_PORT']} within {_MEETING.seconds // 60} minutes: {str(error).splitlines()[0]}"
            ]
        ) from error
    return store


def _speaks(processes: Processes, store: Store) -> bool:
    """Tells whether this process, which failed, is the one to say so: the writer if it fails too, else the first."""
    try:
        if not processes.is_main:
            until = time.monotonic() + _GRACE
            while time.monotonic() < until and not store.check([_FAILED]):
                time.sleep(0.05)
        return bool(store.add(_FAILED, 1) == 1)
    except RuntimeError:  # the store went with the process that held it
        return processes.is_main


@contextmanager
def _reaching_the_others() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            "another process of this run ended or cannot be reached; the same command goes on from the last checkpoint"
        ) from error


class _Gathered(torch.autograd.Function):
    """(own rows, processes, share) -> all rows."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor, processes: Processes, share: Share) -> Tensor:
        ctx.own, ctx.count = share.own, processes.count
        return _joined(mine, share.sizes)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient[ctx.own] * ctx.count, None, None


class _Summed(torch.autograd.Function):
    """(own addend, count) -> sum."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor, count: int) -> Tensor:
        ctx.count = count
        total = mine.clone()
        with _reaching_the_others():
            dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.count, None


def _joined(mine: Tensor, sizes: Sequence[int]) -> Tensor:
    """Sends rows as bytes, for which every type is alike, padded to the most that a process has."""
    if not any(sizes):
        return mine
    rows = mine.new_zeros(max(sizes), *mine.shape[1:])
    rows[: len(mine)] = mine
    sent = rows.view(len(rows), -1).view(torch.uint8)
    received = sent.new_empty(len(sizes), *sent.shape)
    with _reaching_the_others():
        dist.all_gather(list(received), sent)
    kept = torch.cat([part[:size] for part, size in zip(received, sizes, strict=True)])
    return kept.view(mine.dtype).view(-1, *mine.shape[1:])
