"""Files and folders here or elsewhere, and what is done with both alike."""

from __future__ import annotations

import os
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TextIO, TypeAlias

from distillbench.data.paths import expanded
from distillbench.data.remote.path import RemotePath
from distillbench.urls import is_url

Place: TypeAlias = Path | RemotePath
"""A file or folder on this machine, or by URL."""


def place_of(text: str) -> Place:
    """Returns the file or folder that a user names, by path or by URL.

    Raises `DataError` for a URL that may hold a secret.
    """
    return RemotePath.of(text) if is_url(text) else expanded(text)


def within(folder: str, name: str) -> str:
    """Returns the name of a file in a folder, both as a user writes them."""
    if is_url(name) or not folder:
        return name
    if is_url(folder):
        return f"{folder.rstrip('/')}/{name}"
    return str(Path(folder) / expanded(name))


def is_file(place: Place) -> bool:
    """Tells whether a place is a file that may be read."""
    # pathlib's own raises where a name is too long
    return place.is_file() if isinstance(place, RemotePath) else os.path.isfile(place)


def size_of(place: Place) -> int:
    """Returns the bytes of a file; `DataError` or `OSError` where there is none."""
    return place.version().size if isinstance(place, RemotePath) else place.stat().st_size


def files_below(folder: Place) -> list[Place]:
    """Returns every file of a folder, at any depth, but hidden ones; sorted.

    Raises `OSError` or `DataError` where it cannot be looked into.
    """
    if isinstance(folder, RemotePath):
        return list(folder.below())
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def files_in(folder: Place, suffix: str) -> list[Place]:
    """Returns the files of a folder itself whose names end so, in any order."""
    if isinstance(folder, RemotePath):
        return [each for each in folder.children() if each.suffix == suffix]
    return list(folder.glob(f"*{suffix}"))


def opened_text(place: Place) -> TextIO:
    """Opens a text in UTF-8, whose line ends are left as they are.

    Raises `OSError` or `DataError` where it cannot be read.
    """
    if isinstance(place, RemotePath):
        return TextIOWrapper(BytesIO(place.read_bytes()), encoding="utf-8", newline="")
    return place.open(encoding="utf-8", newline="")


def name_within(place: Place, folder: Place) -> str:
    """Returns how a file is called below a folder that it is in."""
    return str(place).removeprefix(str(folder)).lstrip("/")
