"""Runs on the nodes of a Ray cluster; a worker or a node that dies takes its own runs with it."""

from __future__ import annotations

import math
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import (
    Demand,
    Executor,
    Failed,
    Finished,
    Lost,
    Message,
    RunEvent,
    RunJob,
)
from distillbench_plugins.layers.knobs import refuse
from distillbench_plugins.layers.workers import every_core, wrong_gpus, wrong_workers

if TYPE_CHECKING:
    from collections.abc import Mapping

_GIGABYTE = 1_000_000_000
_FRESH = 1.0  # seconds for which what is known of the nodes is taken to hold
_PLACING = 60.0  # seconds in which a worker is placed and started, if there is a place
_ANSWER = 10.0  # seconds in which a cluster's head answers
_LONGEST_REASON = 240
_ADDRESS = re.compile(r"\bip: (\S+)")


class Ray(Executor):
    """Long-lived worker processes on the nodes of a Ray cluster, each placed where a run fits.

    A worker makes one run after the other. `pip install 'distillbench[ray]'` on all nodes, which
    share the folder where the sweep is begun and that of the results (docs/scaling.md).

    Knobs:
        address: host:port of the cluster's head; auto: the cluster that this machine belongs to;
            local: one of this machine alone, which ends with the sweep.
        workers: how many runs at once; auto: as many as there is room for.
        cpus_per_run: processor cores that a run occupies; auto: one for each of its threads.
        gpus_per_run: GPUs that a run occupies, such as 0.25; auto: one with `--device cuda`.
        gigabytes_per_run: memory that is set aside for a run; Ray counts it and enforces nothing.
        attempts: how often a run is begun whose worker or node dies.
        patience: minutes without any node for a run after which the sweep ends; the same command
            goes on.
    """

    remote: ClassVar[bool] = True
    check_knobs: ClassVar[Mapping[str, object]] = {"address": "local"}

    def __init__(
        self,
        demand: Demand,
        *,
        address: str = "auto",
        workers: Literal["auto"] | int = "auto",
        cpus_per_run: Literal["auto"] | float = "auto",
        gpus_per_run: Literal["auto"] | float = "auto",
        gigabytes_per_run: float = 0.0,
        attempts: int = 3,
        patience: float = 5.0,
    ) -> None:
        cpus = float(demand.threads) if cpus_per_run == "auto" else cpus_per_run
        on_gpu = demand.device == "cuda"
        gpus = float(on_gpu) if gpus_per_run == "auto" else gpus_per_run
        refuse(
            [
                *wrong_workers("ray", workers, attempts),
                *_wrong_amounts(cpus_per_run, demand.threads, gpus, on_gpu),
                *_not_at_least_0(gigabytes_per_run=gigabytes_per_run, patience=patience),
                *_wrong_address(address),
            ]
        )
        self.attempts = attempts
        self._address, self._most, self._patience = address, workers, 60 * patience
        needs = {"CPU": cpus, "GPU": gpus, "memory": gigabytes_per_run * _GIGABYTE}
        self._needs = {name: amount for name, amount in needs.items() if amount}
        self._ray: Any = None
        self._connected = False  # by this executor, which then disconnects, too
        self._workers: list[_Worker] = []
        self._moved: dict[str, int] = {}  # how often a run was given to a worker that was gone
        self._room, self._room_until, self._had_room = 0, 0.0, 0.0

    @property
    def free(self) -> int:
        """How many more runs the nodes have room for, whoever else may be using them.

        Connects to the cluster. Raises `ConfigError` where there is none, or none whose nodes could
        ever make a run.
        """
        room = self._room_for_runs()
        most = room if self._most == "auto" else min(room, self._most)
        return max(0, most - len(self.running))

    @property
    def running(self) -> list[str]:
        """The runs that workers have, or will have once they are placed."""
        return [worker.job.key for worker in self._workers if worker.job is not None]

    def submit(self, job: RunJob) -> None:
        """Gives a run to an idle worker, preferably to one that has its data open, or a new one."""
        idle = [worker for worker in self._workers if worker.job is None]
        same = [worker for worker in idle if worker.data == job.data]
        chosen = next(iter([*same, *idle]), None) or self._new_worker()
        chosen.give(job)

    def events(self, timeout: float) -> Iterator[RunEvent]:
        """Waits for a worker to report something or to die, and yields all that was."""
        self._use_idle()
        busy = {worker.reports: worker for worker in self._workers if worker.job is not None}
        if not busy:
            time.sleep(timeout)
            return
        self._ray.wait(list(busy), num_returns=1, timeout=timeout)
        while busy:
            ready, _ = self._ray.wait(list(busy), num_returns=len(busy), timeout=0)
            if not ready:
                return
            for reports in ready:
                yield from self._next(busy[reports])
            busy = {reports: worker for reports, worker in busy.items() if worker.job is not None}

    def _use_idle(self) -> None:
        """Gives runs that wait for a place to idle workers, which hold the places they wait for.

        A worker that only takes its time to start is let be.
        """
        many = len(self._workers) > self._room
        for waiting in [each for each in self._workers if each.job is not None and not each.begun]:
            idle = next((each for each in self._workers if each.job is None), None)
            late = time.monotonic() - waiting.given > _PLACING
            if idle is not None and waiting.job is not None and (many or late):
                job = waiting.job
                self._part_with(waiting)
                idle.give(job)

    def _next(self, worker: _Worker) -> Iterator[RunEvent]:
        job = worker.job
        assert job is not None
        try:
            event: RunEvent = self._ray.get(next(worker.reports))
        except (self._ray.exceptions.RayError, StopIteration) as error:
            self._part_with(worker)
            # It had died while it was idle, or was placed on a node whose death was not known yet.
            self._moved[job.key] = self._moved.get(job.key, 0) + 1
            if not worker.begun and self._moved[job.key] < self.attempts:
                self.submit(job)
            else:
                yield Lost(job.key, _cause(error))
            return
        worker.begun = True
        if isinstance(event, (Finished, Failed)):
            worker.job = None
        if not isinstance(event, _Begun):
            yield event

    def shutdown(self) -> None:
        """Ends every worker, and those that wait to be placed."""
        for worker in list(self._workers):
            self._part_with(worker)
        if self._connected:
            self._ray.shutdown()
            self._ray._private.worker._worker_logs_enabled = True
            self._connected, self._ray = False, None

    def _part_with(self, worker: _Worker) -> None:
        """Ends a worker, of which nothing more is wanted; it may only have been out of reach."""
        self._workers.remove(worker)
        worker.job, self._room_until = None, 0.0
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(worker.actor, no_restart=True)

    def _new_worker(self) -> _Worker:
        self._connect()
        cls = self._ray.remote(max_restarts=0, max_task_retries=0)(_Actor)
        actor = cls.options(
            num_cpus=self._needs.get("CPU", 0),
            num_gpus=self._needs.get("GPU", 0),
            memory=self._needs.get("memory"),
            scheduling_strategy="SPREAD",
        ).remote()
        made = _Worker(actor)
        self._workers.append(made)
        return made

    def _connect(self) -> None:
        if self._ray is not None:
            return
        ray = _imported()
        own: dict[str, Any] = {"include_dashboard": False} if self._address == "local" else {}
        if not ray.is_initialized():
            try:
                _look_for(self._address)
                ray.init(self._address, log_to_driver=False, logging_level="CRITICAL", **own)
            except (OSError, RuntimeError, ValueError, OverflowError) as error:
                raise ConfigError([_no_cluster(self._address, error)]) from error
            # It would print a page for each death, whatever `log_to_driver` is (Ray 2.60).
            ray._private.worker._worker_logs_enabled = False
            self._connected = True
        self._ray = ray

    def _room_for_runs(self) -> int:
        """Counts the runs that fit on the nodes; asks the cluster once a second at the most."""
        self._connect()
        now = time.monotonic()
        if now < self._room_until:
            return self._room
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        self._room, self._room_until = sum(map(self._fitting, nodes)), now + _FRESH
        if self._room:
            self._had_room = now
        elif not self._had_room or now - self._had_room > self._patience:
            raise ConfigError([self._why_no_room(nodes)])
        return self._room

    def _fitting(self, node: Mapping[str, float]) -> int:
        """Counts the runs that a node can make at once; where they need nothing, 1 a core."""
        needs = self._needs or {"CPU": 1.0}
        # A quarter of a GPU is there four times, whatever the rounding of 1 / 0.25.
        shares = (node.get(name, 0.0) / amount + 1e-6 for name, amount in needs.items())
        return math.floor(min(shares))

    def _why_no_room(self, nodes: list[Mapping[str, float]]) -> str:
        lost = "; the same command goes on once there is one again" if self._had_room else ""
        offered = "; ".join(sorted({_written(node) for node in nodes})) or "there is none"
        return (
            f"executor ray: no node has room for a run, which needs {_written(self._needs)}; the"
            f" nodes have: {offered}{lost}"
        )


class _Worker:
    """One worker, seen from the sweep.

    begun: whether it began the run that it has. given: when it was given it.
    """

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.job: RunJob | None = None
        self.data: str | None = None
        self.begun, self.given = False, 0.0
        self.reports: Any = None

    def give(self, job: RunJob) -> None:
        self.job, self.data, self.begun = job, job.data, False
        self.given = time.monotonic()
        self.reports = self.actor.make.options(num_returns="streaming").remote(job)


@dataclass(frozen=True)
class _Begun(Message):
    """A worker has its run."""


class _Actor:
    """One worker, in its own process on some node."""

    def __init__(self) -> None:
        # Ctrl-C reaches every process of the terminal; the sweep decides.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def make(self, job: RunJob) -> Iterator[RunEvent]:
        """Makes a run in a thread, and yields what it reports as soon as it does."""
        yield _Begun(job.key, "")
        reported: SimpleQueue[RunEvent] = SimpleQueue()
        made = threading.Thread(target=lambda: reported.put(job.run(reported.put)), daemon=True)
        made.start()
        while True:
            event = reported.get()
            yield event
            if isinstance(event, (Finished, Failed)):
                return


def _imported() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            ["the executor 'ray' needs Ray: pip install 'distillbench[ray]'"]
        ) from error
    return ray


def _wrong_address(address: str) -> list[str]:
    if "://" not in address:
        return []
    return [
        f"executor ray: address={address} is a client's; begin the sweep on a node of the cluster"
        " (a node may have no cores for runs: ray start --num-cpus=0) and take auto or host:port"
    ]


def _wrong_amounts(
    cpus: Literal["auto"] | float, threads: int, gpus: float, on_gpu: bool
) -> list[str]:
    problems = []
    if cpus == "auto" and not threads:
        problems.append(every_core("ray"))
    elif cpus != "auto":
        problems += _not_at_least_0(cpus_per_run=cpus)
    problems += _not_at_least_0(gpus_per_run=gpus)
    if gpus > 1 and gpus != int(gpus):
        problems.append(f"executor ray: gpus_per_run={gpus:g} is neither a share of one nor whole")
    return [*problems, *wrong_gpus("ray", gpus, on_gpu=on_gpu)]


def _not_at_least_0(**amounts: float) -> list[str]:
    return [
        f"executor ray: {name}={amount:g} is not a number of at least 0"
        for name, amount in amounts.items()
        if not 0 <= amount < math.inf
    ]


def _look_for(address: str) -> None:
    """Raises an error where nothing answers at host:port: Ray tries again for minutes."""
    if address not in ("auto", "local"):
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), timeout=_ANSWER).close()


def _no_cluster(address: str, error: BaseException) -> str:
    found = " ".join(str(error).split())[:_LONGEST_REASON]
    return (
        f"executor ray: no cluster answers at '{address}' ({found}); `ray start --head` begins one,"
        " and --set executor.address=local one of this machine alone"
    )


def _written(amounts: Mapping[str, float]) -> str:
    words = []
    if "CPU" in amounts:
        words.append(f"{amounts['CPU']:g} cores")
    if "GPU" in amounts:
        words.append(f"{amounts['GPU']:g} GPUs")
    if "memory" in amounts:
        words.append(f"{amounts['memory'] / _GIGABYTE:.3g} GB")
    return ", ".join(words) or "nothing"


def _cause(error: BaseException) -> str:
    """Says in one line what Ray knows of a worker that died."""
    text = " ".join(str(error).split())
    _, known, detail = text.partition("Worker exit detail: ")
    why = detail.partition(" Some common causes")[0] if known else text or type(error).__name__
    where = _ADDRESS.search(text)
    on = f" on node {where[1]}" if where else ""
    return f"its worker{on} died: {why[:_LONGEST_REASON]}"


@hookimpl
def executors() -> dict[str, type[Executor]]:
    """Offers `ray`."""
    return {"ray": Ray}
