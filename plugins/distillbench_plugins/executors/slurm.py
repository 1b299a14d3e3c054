"""Jobs of Slurm, one a run, handed in by submitit; what they report lies beside the results."""

from __future__ import annotations

import getpass
import json
import logging
import math
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import (
    Demand,
    EpochEnded,
    Executor,
    Failed,
    Finished,
    Lost,
    Message,
    PhaseStarted,
    RunEvent,
    RunJob,
)
from distillbench_plugins.layers.knobs import not_positive, refuse, wrong_counts
from distillbench_plugins.layers.workers import every_core, wrong_gpus, wrong_workers

_EVENTS = {cls.__name__: cls for cls in (PhaseStarted, EpochEnded, Message, Finished, Failed)}
_AT_ONCE = {"slurm": 64, "local": 2}
_LOOK = 0.2  # seconds between two looks at what jobs reported
_ASK = {"slurm": 20.0, "local": 0.0}  # seconds between two questions to the cluster
_GRACE = {"slurm": 20.0, "local": 0.0}  # seconds in which the last words of a job arrive
_TRIES = 6  # of handing in a job: a controller that is busy answers later


class Slurm(Executor):
    """Hands in each run as a job of Slurm, and reads what it reports from files.

    `pip install 'distillbench[slurm]'`; the folder where the sweep is begun and that of the results
    are shared by all nodes (docs/scaling.md). Jobs outlive a sweep that is killed, and the same
    command takes them over.

    Knobs:
        cluster: slurm; local: processes of this machine, to try things out without Slurm.
        workers: how many jobs at once, queued or running; auto: 64, two where cluster is local.
        cpus_per_run: processor cores of a job; auto: one for each thread of the run.
        gpus_per_run: GPUs of a job; auto: one with `--device cuda`, else none.
        gigabytes_per_run: memory of a job; 0: what the partition gives.
        minutes_per_run: after which a job is ended; its run goes on from its checkpoint.
        partition: where jobs are queued; none: Slurm's default.
        options: further options of sbatch, such as account=vision,constraint=a100.
        attempts: how often a run is begun whose job or node dies.
    """

    remote: ClassVar[bool] = True
    check_knobs: ClassVar[Mapping[str, object]] = {"cluster": "local"}

    def __init__(
        self,
        demand: Demand,
        *,
        cluster: Literal["slurm", "local"] = "slurm",
        workers: Literal["auto"] | int = "auto",
        cpus_per_run: Literal["auto"] | int = "auto",
        gpus_per_run: Literal["auto"] | int = "auto",
        gigabytes_per_run: float = 0.0,
        minutes_per_run: int = 1440,
        partition: str | None = None,
        options: str = "",
        attempts: int = 3,
    ) -> None:
        on_gpu = demand.device == "cuda"
        cpus = demand.threads if cpus_per_run == "auto" else cpus_per_run
        gpus = int(on_gpu) if gpus_per_run == "auto" else gpus_per_run
        further, problems = _options(options)
        refuse(
            [
                *wrong_workers("slurm", workers, attempts),
                *_wrong_amounts(cpus, gpus, on_gpu),
                *wrong_counts("executor slurm", minutes_per_run=(minutes_per_run, 1, 1_000_000)),
                *(_not_memory(gigabytes_per_run)),
                *problems,
            ]
        )
        self.attempts = attempts
        self._cluster = cluster
        self._most = _AT_ONCE[cluster] if workers == "auto" else workers
        self._asked: dict[str, Any] = {"timeout_min": minutes_per_run, "name": "distillbench"}
        if cluster == "slurm":
            # A run that begins again is counted, which Slurm would not do.
            self._asked["slurm_additional_parameters"] = {"no-requeue": True, **further}
            self._asked |= {"cpus_per_task": cpus}
            self._asked |= {"slurm_partition": partition} if partition else {}
            self._asked |= {"mem_gb": gigabytes_per_run} if gigabytes_per_run else {}
        self._asked |= {"gpus_per_node": gpus} if gpus else {}
        self._made: dict[str, _Made] = {}
        self._ended: list[_Made] = []
        self._queue = _Queue(cluster)

    @property
    def free(self) -> int:
        """How many more jobs may be handed in.

        Raises `ConfigError` where there is no submitit, or no Slurm on this machine.
        """
        _submitit()
        if self._cluster == "slurm" and shutil.which("sbatch") is None:
            raise ConfigError(
                [
                    "executor slurm: this machine has no command sbatch; begin the sweep on a node"
                    " of the cluster, or take --set executor.cluster=local to try it out"
                ]
            )
        return max(0, self._most - len(self._made))

    @property
    def running(self) -> list[str]:
        """The runs whose jobs are queued or running, or ended without having told how."""
        return list(self._made)

    def submit(self, job: RunJob) -> None:
        """Hands in a run, or takes over the job that an earlier sweep left to make it."""
        folder = Path(job.results, "jobs", job.key)
        made = self._left_by_another(job.key, folder)
        self._made[job.key] = made or self._handed_in(job, folder)

    def events(self, timeout: float) -> Iterator[RunEvent]:
        """Looks at what jobs wrote until there is something, and at which still are."""
        until = time.monotonic() + timeout
        while True:
            self._clear()
            self._queue.look([made.handle for made in self._made.values()])
            found = [event for made in list(self._made.values()) for event in self._news(made)]
            left = until - time.monotonic()
            if found or left <= 0:
                break
            time.sleep(min(_LOOK, left))
        yield from found

    def shutdown(self) -> None:
        """Cancels every job."""
        for made in self._made.values():
            made.handle.cancel(check=False)
        self._ended += self._made.values()
        self._made = {}
        until = time.monotonic() + 10
        while self._cluster == "local" and self._ended and time.monotonic() < until:
            self._ended = [made for made in self._ended if not made.handle.done()]
            time.sleep(0.05)
        self._clear()

    def _handed_in(self, job: RunJob, folder: Path) -> _Made:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # jobs unpickle what is there
        folder.mkdir(mode=0o700)
        events = folder / f"{uuid.uuid4().hex[:8]}.events"
        submitit = _submitit()
        handing = submitit.AutoExecutor(folder=folder, cluster=self._cluster)
        handing.update_parameters(**self._asked)
        tries = _TRIES if self._queue.has_taken_one else 1
        for number in range(1, tries + 1):
            try:
                handle = handing.submit(_make, job, str(events))
                break
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                if number == tries:
                    raise ConfigError(
                        [f"executor slurm: a job was refused: {' '.join(str(error).split())}"]
                    ) from error
                time.sleep(2.0**number)
        self._queue.has_taken_one = True
        _write(folder / "job.json", {"id": handle.job_id, "events": events.name})
        return _Made(job.key, handle, events, folder)

    def _left_by_another(self, key: str, folder: Path) -> _Made | None:
        """Returns the job that a sweep which was killed left for a run, if it is there still."""
        if self._cluster == "local" or not (folder / "job.json").is_file():
            return None
        try:
            stored = json.loads((folder / "job.json").read_text())
            name, events = str(stored["id"]), Path(folder, Path(stored["events"]).name)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        self._queue.ask()
        if not self._queue.has(name):
            return None
        return _Made(key, _submitit().SlurmJob(folder, name), events, folder)

    def _news(self, made: _Made) -> Iterator[RunEvent]:
        for event in made.reported():
            yield event
            if isinstance(event, (Finished, Failed)):
                self._ended.append(self._made.pop(made.key))
                return
        if self._queue.misses(made.handle, made.since):
            made.gone = made.gone or time.monotonic()
            if time.monotonic() - made.gone >= _GRACE[self._cluster]:
                del self._made[made.key]
                yield Lost(made.key, made.cause())

    def _clear(self) -> None:
        """Removes the folders of runs that ended well, once their jobs have left them."""
        for made in list(self._ended):
            if made.handle.paths.result_pickle.exists():
                if self._cluster == "local" and not made.handle.done():
                    continue
                self._ended.remove(made)
                shutil.rmtree(made.folder, ignore_errors=True)


class _Made:
    """One job, seen from the sweep.

    since: when it was handed in or taken over. gone: when the queue was first found without it.
    """

    def __init__(self, key: str, handle: Any, events: Path, folder: Path) -> None:
        self.key, self.handle, self.folder = key, handle, folder
        self.since, self.gone = time.monotonic(), 0.0
        self._events, self._read = events, 0

    def reported(self) -> Iterator[RunEvent]:
        """Yields what the job wrote since the last call, in whole lines."""
        try:
            with self._events.open("rb") as file:
                file.seek(self._read)
                text = file.read()
        except OSError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            yield _event(line)

    def cause(self) -> str:
        """Says in one line how the job ended, as far as it is known, and where its log is."""
        state = self.handle.get_info(mode="force")
        found = state.get("State") or state.get("jobState") or "unknown"
        try:
            lines = self.handle.paths.stderr.read_text(errors="replace").split("\n")
        except OSError:
            lines = []
        last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
        return (
            f"its job {self.handle.job_id} ended without a result (state {found}); the last line of"
            f" '{self.handle.paths.stderr}' is: {last[:200]}"
        )


class _Queue:
    """Which jobs there are still; asks squeue seldom, and only as long as jobs are waited for.

    It needs no accounting, which not every cluster has.
    """

    def __init__(self, cluster: Literal["slurm", "local"]) -> None:
        self._cluster = cluster
        self._jobs: set[str] = set()
        self._asked = -math.inf
        self.has_taken_one = False

    def look(self, handles: list[Any]) -> None:
        """Brings itself up to date if it is time to."""
        if self._cluster == "local":
            self._asked = time.monotonic()
            self._jobs = {handle.job_id for handle in handles if not handle.done()}
        elif handles and time.monotonic() - self._asked > _ASK[self._cluster]:
            self.ask()

    def ask(self) -> None:
        """Asks Slurm for this user's jobs; where it does not answer, all are taken to be there."""
        began = time.monotonic()
        command = ["squeue", "--noheader", "--format=%A", f"--user={getpass.getuser()}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError):
            return
        self._jobs, self._asked = set(done.stdout.split()), began

    def has(self, name: str) -> bool:
        """Tells whether a job was there when it was last asked."""
        return name in self._jobs

    def misses(self, handle: Any, since: float) -> bool:
        """Tells whether it was asked after a job was handed in, and the job was not there."""
        return self._asked > since and not self.has(handle.job_id)


def _make(job: RunJob, events: str) -> None:
    """Makes a run in a job, and writes what it reports."""

    def report(event: RunEvent) -> None:
        # Opened for each event: other nodes see what was written once the file is closed.
        with open(events, "a", encoding="utf-8") as file:
            file.write(json.dumps({"event": type(event).__name__, **asdict(event)}) + "\n")

    report(job.run(report))


def _event(line: bytes) -> RunEvent:
    """Reads a line that `_make` wrote."""
    fields = json.loads(line)
    event: RunEvent = _EVENTS[fields.pop("event")](**fields)
    return event


def _write(path: Path, content: object) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(content))
    draft.replace(path)


def _submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise ConfigError(
            ["the executor 'slurm' needs submitit: pip install 'distillbench[slurm]'"]
        ) from error
    # It warns where there is no accounting, in the middle of the display.
    logging.getLogger("submitit").setLevel(logging.ERROR)
    return submitit


def _wrong_amounts(cpus: int, gpus: int, on_gpu: bool) -> list[str]:
    problems = []
    if cpus < 1:
        problems.append(
            every_core("slurm")
            if cpus == 0
            else f"executor slurm: cpus_per_run={cpus} is not an integer of at least 1"
        )
    problems += wrong_counts("executor slurm", gpus_per_run=(gpus, 0, 1000))
    return [*problems, *wrong_gpus("slurm", gpus, on_gpu=on_gpu)]


def _not_memory(gigabytes: float) -> list[str]:
    return not_positive("executor slurm", gigabytes_per_run=gigabytes) if gigabytes else []


def _options(text: str) -> tuple[dict[str, object], list[str]]:
    """Reads `NAME=VALUE,NAME`, and lists what is neither."""
    found: dict[str, object] = {}
    problems = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not name.replace("-", "").isalnum() or any(not c.isprintable() for c in value):
            problems.append(
                f"executor slurm: options={text!r} is not a list such as account=vision,exclusive"
            )
        found[name] = value if equals else True
    return found, problems


@hookimpl
def executors() -> dict[str, type[Executor]]:
    """Offers `slurm`."""
    return {"slurm": Slurm}
