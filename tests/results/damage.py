"""Ways to damage a file of a results folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path


def results_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def changed(path: str, value: object) -> Callable[[Path], None]:
    """Sets a field of a JSON file, named by a dotted path, to a value."""

    def damage(file: Path) -> None:
        content = json.loads(file.read_text())
        *way, last = path.split(".")
        place = content
        for step in way:
            place = place[int(step) if isinstance(place, list) else step]
        place[int(last) if isinstance(place, list) else last] = value
        file.write_text(json.dumps(content))

    return damage


def replaced(old: str, new: str) -> Callable[[Path], None]:
    return lambda file: file.write_text(file.read_text().replace(old, new, 1)) and None


def written(content: bytes) -> Callable[[Path], None]:
    return lambda file: file.write_bytes(content) and None


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def dangling(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere.json")


def utf_16(file: Path) -> None:
    file.write_text(file.read_text(), encoding="utf-16")
