"""What would Table 1 cost on all of YouTube-8M? `python benchmarks/speed/scaling.py` writes `scaling.csv` and `one_run.csv`.

Paper arithmetic, no training: the runs of `distillbench sweep table1` with their multiply-accumulates as `--dry-run` counts them, put on
1 to 64 devices in the order of a sweep, teachers first, one run a device. Rates are of two sorts, and every row says which. *Measured*:
read from `output_cache.csv` (a training step on two cores) and `reading.csv` (cold and warm reading), which other benchmarks wrote.
*Assumed*: no GPU was measured. Its rate is what NVIDIA's data sheet says of an H100 SXM (989 TFLOP/s in bf16, dense) times a share that
such recurrent networks may reach, which is a guess; so are the bandwidths of a shared file system and of networks. All are constants below.
"""

from __future__ import annotations

import csv
import heapq
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from distillbench.config.grid import all_specs
from distillbench.config.run_spec import RunSpec
from distillbench.experiments.training_work import Works
from distillbench.registry.discovery import discover
from distillbench.training.build import open_data
from distillbench.training.teacher_store import is_shareable
from measuring import read

HERE = Path(__file__).parent
VIDEOS = 5_738_718  # of the training split (docs/paper.md)
LABELLED = 5_786_881 + 1_652_167  # with the validation split, which is the test
BYTES = 1.5e12  # of all their frames, as Google serves them
FRAME = 1024 + 128
FRAMES = round(BYTES / LABELLED / FRAME)  # of a video, on average
CLASSES, WIDTH, BATCH = 3862, 4096, 256
SIGNAL = 2 * WIDTH  # bytes of a teacher's output

GPU = 989e12 / 2  # multiply-accumulates a second in bf16: data sheet of the H100 SXM
REACHED = 0.15  # the share of it that is reached: a guess
NVME, SHARED = 3e9, 10e9  # bytes a second of a machine's own disk, and of a shared file system
SETUPS = (
    ("1 GPU, frames on its own disk", 1, NVME),
    ("8 GPUs of one machine, frames on its own disk", 8, NVME),
    ("64 GPUs of 8 machines, one shared file system", 64, SHARED),
    ("64 GPUs of 8 machines, a copy of the frames on each one's own disk", 64, 8 * NVME),
)
LINK = {1: 0.0, 8: 450e9, 64: 50e9}  # each way: NVLink in a machine, InfiniBand at 400 Gb/s between
DAY = 24 * 3600.0


@dataclass(frozen=True)
class Row:
    """The whole table on so many devices.

    computing, reading: days that either would take without the other; `days` is the longer one. busy: the share of the
    devices' time in which they train. reads: frames and teachers' outputs, in TB. disk: in GB/s.
    """

    devices: str
    rates: str
    days: float
    device_hours: float
    computing: float
    reading: float
    longest_run_hours: float
    busy: float
    reads: float
    disk: float
    limit: str


@dataclass(frozen=True)
class OneRun:
    """A teacher's training step on so many GPUs, in ms: computing, and what is sent meanwhile."""

    devices: str
    computing: float
    outputs: float
    gradients: float


class AllVideos:
    """Stands for the training split: as many videos, all of average length."""

    def __init__(self, small: Any) -> None:
        self.lengths = torch.full((VIDEOS,), FRAMES)
        self.width, self.labels, self.codec = small.width, small.labels, small.codec

    def __len__(self) -> int:
        return VIDEOS


class Splits:
    """Stands for the splits, of which the training split alone is looked at."""

    def __init__(self, small: Any) -> None:
        self.train = AllVideos(small)


@dataclass(frozen=True)
class Job:
    """A run: its work in multiply-accumulates and its bytes, and those of the teacher that it may share."""

    work: float
    bytes: float
    teacher: int | None
    teacher_work: float
    teacher_bytes: float


def jobs(specs: Sequence[RunSpec], splits: Any) -> list[Job]:
    """Counts every run."""
    works, found = Works(), []
    for spec in specs:
        work, teacher_work = works.planned(spec, splits)
        shared = bool(teacher_work) and is_shareable(spec, 0)
        volumes = [phase_bytes(spec, number) for number in range(len(spec.phases))]
        own = sum(volumes) - (volumes[0] if shared else 0.0)
        teacher = spec.seed if shared else None
        found.append(Job(work, own, teacher, teacher_work, volumes[0] if shared else 0.0))
    return found


def phase_bytes(spec: RunSpec, number: int) -> float:
    """Returns the bytes of a phase: the frames that its learners see, and stored outputs of a frozen teacher."""
    phase = spec.phases[number]
    views = [spec.view(name, learner.view) for name, learner in phase.learners.items()]
    kept = [FRAMES if view.k is None else min(FRAMES, int(str(view.k))) for view in views]
    frozen = number > 0 and any(
        term.teacher for learner in phase.learners.values() for term in learner.terms
    )
    a_video = max(kept, default=0) * FRAME + (SIGNAL if frozen else 0)
    return float(phase.epochs * VIDEOS * a_video)


def scheduled(made: Sequence[Job], devices: int, rate: float) -> float:
    """Returns the seconds until all runs ended: on devices that take the first run that need not wait."""
    leaders: dict[int, Job] = {}
    for job in made:
        if job.teacher is not None and job.work <= leaders.get(job.teacher, job).work:
            leaders[job.teacher] = job
    first = list(leaders.values())
    waiting = first + [job for job in made if not any(job is leader for leader in first)]
    ready: dict[int, float] = {}
    free = [0.0] * devices
    end = 0.0
    while waiting:
        now = heapq.heappop(free)
        place = next(
            (
                number
                for number, job in enumerate(waiting)
                if job.teacher not in ready or ready[job.teacher] <= now
            ),
            None,
        )
        if place is None:  # all that is left waits for teachers
            heapq.heappush(free, min(moment for moment in ready.values() if moment > now))
            continue
        job = waiting.pop(place)
        if job.teacher is not None and job.teacher not in ready:
            now += job.teacher_work / rate
            ready[job.teacher] = now
        now += job.work / rate
        end = max(end, now)
        heapq.heappush(free, now)
    return end


def row(made: Sequence[Job], name: str, rates: str, devices: int, rate: float, disk: float) -> Row:
    """Puts the table on devices of a rate, beside a disk."""
    teachers = {job.teacher: job for job in made if job.teacher is not None}
    work = sum(job.work for job in made) + sum(job.teacher_work for job in teachers.values())
    volume = sum(job.bytes for job in made) + sum(job.teacher_bytes for job in teachers.values())
    volume += len(teachers) * VIDEOS * (FRAMES * FRAME + SIGNAL)  # each is asked once, and kept
    seconds = scheduled(made, devices, rate)
    longest = max((job.work + job.teacher_work) / rate for job in made)
    reading = volume / disk
    limit = "reading" if reading > seconds else "computing"
    if limit == "computing" and seconds < 1.05 * longest:
        limit = "the longest run"
    return Row(
        name,
        rates,
        max(seconds, reading) / DAY,
        devices * max(seconds, reading) / 3600,
        seconds / DAY,
        reading / DAY,
        longest / 3600,
        work / rate / devices / max(seconds, reading),
        volume / 1e12,
        disk / 1e9,
        limit,
    )


def measured_rate(splits: Any) -> float:
    """Returns the multiply-accumulates a second of a training step of a student alone at k = 30, on two cores."""
    found = {row.stage: row for row in read(HERE / "output_cache.csv")}
    step = found["student's step at k = 30, teacher asked once"]
    chosen = {"data": "yt8m", "schedule": "scratch", "head": "logistic", "k": "30"}
    (spec,) = all_specs(discover(), None, {**chosen, "preset": "paper"}, ())
    work, _ = Works().planned(spec, splits)
    epochs = sum(phase.epochs for phase in spec.phases)
    return step.limit * work / epochs / VIDEOS


def measured_disk() -> float:
    """Returns the bytes a second of cold reading, all of the 300 frames of a video."""
    found = {row.stage: row for row in read(HERE / "reading.csv")}
    return found["cold, all frames"].ours * 300 * FRAME


def one_run(work_of_a_video: float, parameters: int) -> list[OneRun]:
    """Spreads a training step of the teacher over GPUs: outputs are gathered, gradients added up."""
    found = []
    for devices, link in LINK.items():
        ring = 0.0 if devices == 1 else (devices - 1) / devices / link
        found.append(
            OneRun(
                f"{devices} GPU" + "s" * (devices > 1),
                1000 * BATCH * work_of_a_video / devices / (GPU * REACHED),
                1000 * ring * BATCH * (WIDTH + CLASSES) * 4,
                1000 * 2 * ring * parameters * 4,
            )
        )
    return found


def keep(rows: Sequence[Any], path: Path) -> None:
    """Writes rows as CSV and prints them."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])))
        writer.writeheader()
        for each in rows:
            cells = asdict(each)
            writer.writerow(
                {n: f"{v:.3g}" if isinstance(v, float) else v for n, v in cells.items()}
            )
            print({n: f"{v:.3g}" if isinstance(v, float) else v for n, v in cells.items()})


def main() -> None:
    registry = discover()
    specs = all_specs(registry, Path("table1"), {}, ())
    small = {f"data.{name}": value for name, value in {"rgb": 1024, "audio": 128}.items()}
    small |= {"data": "synthetic", "data.videos": 100, "data.classes": CLASSES}
    splits = Splits(open_data(all_specs(registry, None, small, ())[0]).train)
    made = jobs(specs, splits)
    cpu, disk = measured_rate(splits), measured_disk()
    print(
        f"{len(made)} runs; {cpu / 1e9:.0f} G multiply-accumulates/s, {disk / 1e9:.2f} GB/s measured"
    )
    live = [
        job.work for job, spec in zip(made, specs, strict=True) if spec.schedule.name == "parallel"
    ]
    print(
        f"{len(live)} runs whose teacher learns beside the student:"
        f" {sum(live) / sum(job.work for job in made):.0%} of the work;"
        f" a teacher's outputs: {VIDEOS * SIGNAL / 1e9:.0f} GB;"
        f" an epoch's frames at k = 6, 30 and all: {VIDEOS * 6 * FRAME / 1e9:.0f},"
        f" {VIDEOS * 30 * FRAME / 1e9:.0f}, {VIDEOS * FRAMES * FRAME / 1e9:.0f} GB;"
        f" {BYTES / 1e12:g} TB once: {BYTES / disk / 60:.0f} min from the measured disk,"
        f" {BYTES / SHARED / 60:.1f} min from a shared file system"
    )
    table = [row(made, "1 machine of 2 cores", "measured", 1, cpu, disk)]
    for name, devices, each_disk in SETUPS:
        table.append(row(made, name, "assumed", devices, GPU * REACHED, each_disk))
    keep(table, HERE / "scaling.csv")
    teacher = next(spec for spec in specs if spec.schedule.name == "teacher")
    work, shared = Works().planned(teacher, splits)
    epochs = sum(phase.epochs for phase in teacher.phases)
    with torch.device("meta"):
        encoder = teacher.teacher.build(FRAME)
        head = teacher.head.build(WIDTH, CLASSES)
    parameters = sum(each.numel() for net in (encoder, head) for each in net.parameters())
    keep(one_run((work + shared) / epochs / VIDEOS, parameters), HERE / "one_run.csv")


if __name__ == "__main__":
    main()
