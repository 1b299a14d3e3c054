"""The events of a run, as observers get them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunEvent:
    """Something that happened to a run.

    key: the run's, which names its files.
    """

    key: str


@dataclass(frozen=True)
class RunStarted(RunEvent):
    """A run begins.

    spec: what is requested, by setting, as JSON would hold it.
    results: the folder of results.
    """

    spec: Mapping[str, Any]
    results: Path


@dataclass(frozen=True)
class EpochEnded(RunEvent):
    """An epoch was trained and validated, or belongs to a stored network that the run takes.

    row: its line in the history: `phase`, `epoch`, `seconds`, `learning_rate`, and by name under
        `networks` what each network that learns was found to do: its loss `terms` and its
        `validation` metrics.
    """

    row: Mapping[str, Any]


@dataclass(frozen=True)
class RunEnded(RunEvent):
    """A run has its result.

    result: what its file holds.
    """

    result: Mapping[str, Any]
