"""The runs that folders hold: results, runs without one, and files that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from distillbench.errors import ResultError
from distillbench.interfaces import Metric
from distillbench.results import failures
from distillbench.results.failures import Failure
from distillbench.results.publishing import MANIFEST
from distillbench.results.store import Result, read


@dataclass(frozen=True)
class Loaded:
    """The results of some folders, the files that were skipped and why, and the failed runs."""

    results: tuple[Result, ...]
    skipped: tuple[str, ...]
    failures: tuple[Failure, ...] = ()


def load(folders: Iterable[Path], metrics: Mapping[str, Metric] | None = None) -> Loaded:
    """Reads every result of the folders.

    A file that is damaged is skipped and named, the rest is kept. So is a second file of the same
    run in one folder: the one that is called by the run's key is kept.

    metrics: those that are installed, by name, which every result is given.

    Raises `ResultError` where a folder does not exist.
    """
    return Loaded(*gathered(folders, lambda path: read(path, metrics), failures.read))


class _Stored(Protocol):
    """What a folder holds of a run."""

    @property
    def id(self) -> str:
        """The run's key."""


class _StoredResult(_Stored, Protocol):
    @property
    def path(self) -> Path:
        """The result's file."""

    @property
    def finished(self) -> str:
        """When the run ended."""


T = TypeVar("T")
R = TypeVar("R", bound=_StoredResult)
F = TypeVar("F", bound=_Stored)


def gathered(
    folders: Iterable[Path],
    read_result: Callable[[Path], R],
    read_failure: Callable[[Path], F],
) -> tuple[tuple[R, ...], tuple[str, ...], tuple[F, ...]]:
    """Reads what folders hold: results, why files were skipped, and runs without a result.

    `load` says which of several files of a run is kept.
    """
    results: dict[str, R] = {}
    failed: dict[str, F] = {}
    skipped: list[str] = []
    for folder in folders:
        if not folder.is_dir():
            raise ResultError(
                f"there is no folder of results '{folder}'; distillbench run makes one"
            )
        paths = [path for path in sorted(folder.glob("*.json")) if path.name != MANIFEST]
        found = _readable(paths, read_result, skipped)
        of = {
            result.id: result
            for result in [*reversed(found), *(r for r in found if r.path.stem == r.id)]
        }
        for result in found:
            if of[result.id] is result:
                results.setdefault(f"{result.id}/{result.finished}", result)
            else:
                skipped.append(
                    f"'{result.path}' is of run {result.id}, as is '{of[result.id].path}', which is"
                    " kept"
                )
        unanswered = _readable(failures.files_in(folder), read_failure, skipped)
        failed |= {failure.id: failure for failure in unanswered}
    answered = {result.id for result in results.values()}
    without = tuple(failure for failure in failed.values() if failure.id not in answered)
    return tuple(results.values()), tuple(skipped), without


def _readable(paths: Iterable[Path], read: Callable[[Path], T], skipped: list[str]) -> list[T]:
    """Reads files, and tells of those that are damaged."""
    found = []
    for path in paths:
        try:
            found.append(read(path))
        except ResultError as error:
            skipped.append(str(error))
    return found


def why_none(found: Loaded, folders: Sequence[Path]) -> str:
    """Makes the message about folders without results, and what they hold instead."""
    places = " and ".join(f"'{folder}'" for folder in folders)
    there = [
        _count(len(found.failures), "run", " without a result"),
        _count(len(found.skipped), "damaged file"),
    ]
    but = f", but {' and '.join(filter(None, there))}" if any(there) else ""
    return f"no results in {places} yet{but}; distillbench run makes the first"


def _count(count: int, what: str, then: str = "") -> str:
    return f"{count} {what}{'s' * (count != 1)}{then}" if count else ""
