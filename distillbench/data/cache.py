"""Where things are kept that can be made again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from distillbench.data.paths import expanded
from distillbench.storage import replacing


def cache_folder(*parts: str) -> Path:
    """Returns a folder of the cache, which need not exist.

    $DISTILLBENCH_CACHE, else one under $XDG_CACHE_HOME.
    """
    chosen = os.environ.get("DISTILLBENCH_CACHE")
    if chosen:
        return expanded(chosen).joinpath(*parts)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache").joinpath("distillbench", *parts)


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for writing that appears at `path` complete and on disk, or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        yield file
