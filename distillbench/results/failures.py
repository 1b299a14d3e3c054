"""Runs without an answer, and why: one small JSON file each, beside the results, until the run succeeds."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillbench.interfaces import RunStatus
from distillbench.results import schema
from distillbench.results.format1 import upgraded
from distillbench.setup import Setup
from distillbench.storage import write_text

_FOLDER = "failures"


@dataclass(frozen=True)
class Failure:
    """A run without an answer.

    status: `failed`, or `not applicable` where what was chosen does not go together. attempts: how often it was tried.
    """

    path: Path
    content: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The key of the run's question."""
        return str(self.content["id"])

    @property
    def status(self) -> str:
        """What became of the run."""
        return str(self.content["status"])

    @property
    def reason(self) -> str:
        """Why, in one line."""
        return str(self.content["reason"])


def keep(folder: Path, setup: Setup, status: RunStatus, reason: str, attempts: int = 1) -> Failure:
    """Stores why a run has no answer, in place of what was said of it before."""
    content = {
        "id": setup.key,
        "status": status,
        "reason": reason,
        "attempts": attempts,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "network": setup.reports,
        "setup": setup.describe(),
        "preset": setup.preset,
        "warnings": list(setup.warnings),
    }
    path = folder / _FOLDER / f"{setup.key}.json"
    write_text(path, json.dumps(content, indent=1) + "\n")
    return Failure(path, content)


def forget(folder: Path, key: str) -> None:
    """Removes what was said of a run that has its answer now."""
    (folder / _FOLDER / f"{key}.json").unlink(missing_ok=True)


def load(folder: Path) -> tuple[list[Failure], list[str]]:
    """Reads the failures beside a folder's results, but those answered since, and says which files are damaged."""
    found, skipped = [], []
    for path in sorted((folder / _FOLDER).glob("*.json")):
        if (folder / path.name).is_file():
            continue
        try:
            content = schema.parsed(path)
            schema.failure(content)
            content = upgraded(content)
        except (OSError, ValueError) as error:
            skipped.append(f"'{path}' is no readable failure: {getattr(error, 'strerror', None) or error}")
        else:
            found.append(Failure(path, content))
    return found, skipped
