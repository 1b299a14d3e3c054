"""Makes a folder of features of video files: resumable, several files at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from distillbench.data.npy_videos import npy_array
from distillbench.errors import ConfigError, DataError
from distillbench.machine import cores
from distillbench.registry.discovery import Registry, discover
from distillbench.storage import check_writable, remove_drafts, write_atomically
from distillbench.video.extraction import FILE, Extraction
from distillbench.video.features import FrameEncoder, Spent
from distillbench.video.video_file import SUFFIXES, library

_ENDED = "it ended the process that read it"


@dataclass(frozen=True)
class Source:
    """A video file, and the array of features that is made of it.

    size: bytes of the file.
    """

    id: str
    path: Path
    array: Path
    size: int


@dataclass(frozen=True)
class Outcome:
    """What became of a video file.

    problem: why it cannot be used; empty where it can.
    spent: None where it was made before.
    """

    source: Source
    problem: str = ""
    spent: Spent | None = None


Watch = Callable[[Outcome], object]
"""Is called with each outcome as soon as it is known."""


def find_files(given: Sequence[Path], suffixes: Iterable[str]) -> dict[str, Path]:
    """Finds files by id, in the order of their ids.

    A folder's are those at any depth below it with one of the suffixes, and have their paths as
    ids, without suffix; a file that is named has its name, whatever its suffix.

    Raises `ConfigError` with everything that is not there and every id that occurs twice.
    """
    wanted, problems, found = frozenset(suffixes), list[str](), dict[str, Path]()
    pairs: list[tuple[str, Path]] = []
    for path in given:
        if path.is_dir():
            below = [
                (each.relative_to(path).with_suffix("").as_posix(), each)
                for each in sorted(path.rglob("*"))
                if each.suffix.lower() in wanted and each.is_file() and each.name[0] != "."
            ]
            if not below:
                problems.append(f"'{path}': no videos in this folder or below it")
            pairs += below
        elif path.exists():
            pairs.append((path.stem, path))
        else:
            problems.append(f"'{path}': there is no such file or folder")
    for name, path in pairs:
        if found.setdefault(name, path) != path:
            problems.append(f"'{path}' and '{found[name]}' have the same id '{name}'")
    if problems:
        raise ConfigError(problems)
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class Request:
    """Features that can be extracted: what is to be made, and what is there already."""

    extraction: Extraction
    folder: Path
    waiting: Sequence[Source]
    made: Sequence[Source]

    def make(self, workers: int, device: torch.device, watch: Watch) -> Counter[str]:
        """Extracts what is waiting; returns how many videos were made, and how many cannot be.

        A file that cannot be used costs itself. Everything is written whole or not at all, so that
        the same request goes on where it was stopped.

        workers: processes; 1 for this one. Raises `ResultError` where features cannot be written.
        """
        check_writable(self.folder)
        for folder in {each.array.parent for each in self.waiting} | {self.folder}:
            remove_drafts(folder)
        self.extraction.write(self.folder)
        counts = Counter[str]()
        workers = min(workers, len(self.waiting))
        make = _in_processes if workers > 1 else _in_this_process
        for outcome in make(self.waiting, self.extraction, workers, device):
            counts["unusable" if outcome.problem else "made"] += 1
            watch(outcome)
        return counts


def request(
    given: Sequence[Path], folder: Path, extraction: Extraction, registry: Registry
) -> Request:
    """Finds the videos and what was made of them before.

    Raises `ConfigError` where videos cannot be found, or where the folder holds features that were
    made otherwise.
    """
    library()
    sources = [
        Source(name, path, folder / f"{name}.npy", path.stat().st_size)
        for name, path in find_files(given, SUFFIXES).items()
    ]
    before = Extraction.read(folder, registry)
    if before is not None and not before.is_like(extraction):
        raise ConfigError(
            [f"'{folder}' has features that were made otherwise ({FILE} tells); name another --out"]
        )
    if before is None and any(source.array.exists() for source in sources):
        raise ConfigError([f"'{folder}' has arrays without {FILE}; name another --out"])
    made = {source.id for source in sources if _is_made(source)}
    return Request(
        extraction,
        folder,
        [source for source in sources if source.id not in made],
        [source for source in sources if source.id in made],
    )


def _is_made(source: Source) -> bool:
    """Tells whether the array is whole and newer than the video."""
    try:
        npy_array(source.array)
        return source.array.stat().st_mtime >= source.path.stat().st_mtime
    except (OSError, DataError):
        return False


def _made(source: Source, encoder: FrameEncoder) -> Outcome:
    """Makes one array."""
    spent = Spent()
    try:
        video = encoder.opened(source.path, spent)
        features = encoder.features(video, range(len(video)), spent).numpy()
    except DataError as error:
        return Outcome(source, str(error).removeprefix(f"{source.path}: "))

    def write(draft: Path) -> None:
        with draft.open("wb") as file:
            np.save(file, features, allow_pickle=False)

    write_atomically(source.array, write)
    return Outcome(source, spent=spent)


def _in_this_process(
    sources: Sequence[Source], extraction: Extraction, workers: int, device: torch.device
) -> Iterator[Outcome]:
    if sources:
        encoder = extraction.encoder(device, threads=cores())
        yield from (_made(source, encoder) for source in sources)


def _in_processes(
    sources: Sequence[Source], extraction: Extraction, workers: int, device: torch.device
) -> Iterator[Outcome]:
    """Makes arrays in several processes.

    Where a process ends by itself, those files that were being read are read again, each in a
    process of its own, so that the one that ends it is known.
    """
    extraction.encoder(torch.device("cpu"))  # what is wrong with it is told here, not by each
    about = extraction.describe()
    left = deque(sources)
    while left:
        suspects: list[Source] = []
        yield from _until_one_ends(left, suspects, _Workers(about, workers, device.type))
        for source in suspects:
            alone, ended = deque([source]), list[Source]()
            yield from _until_one_ends(alone, ended, _Workers(about, 1, device.type))
            if ended:
                yield Outcome(source, _ENDED)


@dataclass(frozen=True)
class _Workers:
    """What processes are given: how features are made, how many processes, and their device."""

    about: Mapping[str, object]
    count: int
    device: str

    def started(self) -> ProcessPoolExecutor:
        threads = max(1, cores() // self.count)
        return ProcessPoolExecutor(
            self.count,
            multiprocessing.get_context("spawn"),
            _start,
            (self.about, self.device, threads),
        )


def _until_one_ends(
    left: deque[Source], suspects: list[Source], workers: _Workers
) -> Iterator[Outcome]:
    """Makes arrays until all are made or a process ended; the files it may be due to are added."""
    running: dict[Future[Outcome], Source] = {}
    with workers.started() as pool:
        try:
            while left or running:
                while left and len(running) < workers.count:
                    source = left.popleft()
                    running[pool.submit(_made_here, source)] = source
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    outcome = future.result()
                    del running[future]
                    yield outcome
        except BrokenProcessPool:
            suspects += running.values()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_ENCODER: list[FrameEncoder] = []  # of a process that makes arrays


def _start(about: Mapping[str, object], device: str, threads: int) -> None:
    """Prepares a process; it goes on until the main one ends it, also at Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    extraction = Extraction.of(about, discover())
    _ENCODER.append(extraction.encoder(torch.device(device), threads))


def _made_here(source: Source) -> Outcome:
    return _made(source, _ENCODER[0])


def workers_of(requested: str, device: torch.device) -> int:
    """Reads a number of processes, or `auto`: one a core, one for a GPU. Raises `ConfigError`."""
    if requested == "auto":
        return 1 if device.type == "cuda" else cores()
    if not requested.isdecimal() or not 1 <= int(requested) <= 64 * (os.cpu_count() or 1):
        raise ConfigError([f"--workers takes a number from 1, or auto; found '{requested}'"])
    return int(requested)
