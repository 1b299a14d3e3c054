"""Where results are: folders, and addresses of published sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distillbench.results import published

PathLike = str | Path
Folders = PathLike | Sequence[PathLike]


def folders_of(results: Folders) -> list[Path]:
    """Lists folders; a published set is brought here first.

    Raises `ResultError` where it cannot be read.
    """
    given = [results] if isinstance(results, (str, Path)) else results
    return [
        published.fetched(str(each)) if published.is_address(str(each)) else Path(each)
        for each in given
    ]
