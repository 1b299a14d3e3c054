"""Runs without a result, and why.

Each is a small JSON file beside the results, which is removed once the run succeeds.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillbench.errors import ResultError
from distillbench.interfaces import RunStatus
from distillbench.results import parsing
from distillbench.results.format1 import upgraded
from distillbench.storage import write_text

if TYPE_CHECKING:
    from distillbench.config.run_spec import RunSpec
    from distillbench.results.schema import StoredFailure

_FOLDER = "failures"


@dataclass(frozen=True)
class Failure:
    """A run without a result.

    content: the mapping that is stored; `record` has its fields by type.
    """

    path: Path
    content: Mapping[str, Any]

    @cached_property
    def record(self) -> StoredFailure:
        """What is in the file, by its types; raises `InvalidValueError` where it is damaged."""
        return parsing.parse_failure(self.content)

    @property
    def id(self) -> str:
        """The run's key."""
        return self.record.id

    @property
    def status(self) -> str:
        """`failed`, or `not applicable` where the chosen components cannot be combined."""
        return self.record.status

    @property
    def reason(self) -> str:
        """Why, in one line."""
        return self.record.reason


def keep(folder: Path, spec: RunSpec, status: RunStatus, reason: str, attempts: int = 1) -> Failure:
    """Stores why a run has no result, in place of an earlier failure.

    attempts: how often the run was tried.
    """
    content: dict[str, Any] = {
        "id": spec.key,
        "status": status,
        "reason": reason,
        "attempts": attempts,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "network": spec.reports,
        "setup": spec.describe(),
        "preset": spec.preset,
        "warnings": list(spec.warnings),
    }
    path = folder / _FOLDER / f"{spec.key}.json"
    write_text(path, json.dumps(content, indent=1) + "\n")
    return Failure(path, content)


def forget(folder: Path, key: str) -> None:
    """Removes the failure of a run that has a result now."""
    (folder / _FOLDER / f"{key}.json").unlink(missing_ok=True)


def files_in(folder: Path) -> list[Path]:
    """Lists the failures beside a folder's results, in order, but for runs that have a result."""
    found = sorted((folder / _FOLDER).glob("*.json"))
    return [path for path in found if not (folder / path.name).is_file()]


def read(path: Path) -> Failure:
    """Reads a failure; raises `ResultError` where the file is damaged."""
    try:
        content = parsing.plain_json(path)
        if not isinstance(content, dict):
            raise ValueError("it is not a mapping")
        failure = Failure(path, upgraded(content))
        failure.record  # noqa: B018 - reads the file's fields
    except (OSError, ValueError) as error:
        raise ResultError(
            f"'{path}' is not a readable failure: {getattr(error, 'strerror', None) or error}"
        ) from error
    return failure


def load(folder: Path) -> tuple[list[Failure], list[str]]:
    """Reads the failures beside a folder's results, and lists why files were skipped.

    A failure whose run has a result by now is left out.
    """
    found, skipped = [], []
    for path in files_in(folder):
        try:
            found.append(read(path))
        except ResultError as error:
            skipped.append(str(error))
    return found, skipped
