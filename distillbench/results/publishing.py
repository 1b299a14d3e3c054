"""Writes results as a set that others can read.

Every row is checked; absolute paths and the name of the machine are taken out.
"""

from __future__ import annotations

import hashlib
import json
import ntpath
import posixpath
import re
import shutil
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillbench.errors import ResultError
from distillbench.plain_values import InvalidValueError
from distillbench.results import parsing, test_labels
from distillbench.results.store import FORMAT, Result
from distillbench.storage import check_writable, replacing, write_text

MANIFEST = "published.json"
"""Lists the files of a published set with their sizes and SHA-256; written last."""

MANIFEST_FORMAT = 1

FILE_NAME = re.compile(r"(labels/)?[0-9A-Za-z][0-9A-Za-z._-]{0,150}\.(json|safetensors)")
"""What files of a set are called."""

_START = r"(?:~?/|[A-Za-z]:[\\/]|\\\\)"
_QUOTED_PATH = re.compile(rf"'({_START}[^'\n]+)'")
_PATH = re.compile(rf"(?<![\w.:/\\~-]){_START}[^\s'\",;()\[\]]+")
_SHORTEST_NAME = 4


@dataclass(frozen=True)
class Published:
    """A set that was written: its runs, and what was left out, with the reason."""

    runs: tuple[str, ...]
    left_out: tuple[str, ...]


def anonymous(content: Any) -> Any:
    """Cuts every absolute path in texts down to its last part, and takes this machine's name out.

    content: what a JSON file holds.
    """
    if isinstance(content, dict):
        return {name: anonymous(value) for name, value in content.items()}
    if isinstance(content, list):
        return [anonymous(value) for value in content]
    return _anonymous_text(content) if isinstance(content, str) else content


def _anonymous_text(text: str) -> str:
    if "\n" not in text and (posixpath.isabs(text) or ntpath.isabs(text) or text.startswith("~/")):
        return _last_part(text)
    text = _QUOTED_PATH.sub(lambda found: f"'{_last_part(found[1])}'", text)
    text = _PATH.sub(lambda found: _last_part(found[0]), text)
    host = socket.gethostname()
    if len(host) < _SHORTEST_NAME or host.startswith("localhost"):
        return text
    return re.sub(rf"\b{re.escape(host)}\b", "(a machine)", text)


def _last_part(path: str) -> str:
    return ".../" + re.split(r"[\\/]", path.rstrip("\\/"))[-1]


def publish(results: Sequence[Result], folder: Path, *, labels: bool = True) -> Published:
    """Writes results to a folder, with their predictions and the labels that intervals need.

    A result of the same run that is there already is replaced; other files are left alone.

    labels: of the test videos; without them no row has an interval.

    Raises `ResultError` where the folder cannot be written to.
    """
    check_writable(folder)
    runs, left_out = [], []
    for result in results:
        try:
            _write(result, folder, labels=labels)
        except (ResultError, InvalidValueError) as error:
            left_out.append(f"'{result.path}': {error}")
        else:
            runs.append(result.id)
    files = {name: described((folder / name).read_bytes()) for name in _names(folder)}
    manifest = {"format": MANIFEST_FORMAT, "files": files}
    write_text(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return Published(tuple(runs), tuple(left_out))


def _write(result: Result, folder: Path, *, labels: bool) -> None:
    content = anonymous({**result.content, "format": FORMAT})
    parsing.parse_result(content)
    result.predictions()  # a damaged file is left out
    name, predictions = f"{result.id}.json", content["files"]["predictions"]
    fingerprint = result.record.data.fingerprints.test
    of_labels = f"labels/{fingerprint}.safetensors"
    strange = [each for each in (name, predictions, of_labels) if not FILE_NAME.fullmatch(each)]
    if strange:
        raise ResultError(f"no file of a set can be called '{strange[0]}'")
    _copy(result.path.parent / predictions, folder / predictions)
    if labels and test_labels.find(result.path.parent, fingerprint) is not None:
        (folder / "labels").mkdir(exist_ok=True)
        _copy(result.path.parent / of_labels, folder / of_labels)
    write_text(folder / name, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _copy(source: Path, target: Path) -> None:
    if source.resolve() == target.resolve():
        raise ResultError("it is published to the folder that it is in")
    with replacing(target) as draft:
        shutil.copyfile(source, draft)


def _names(folder: Path) -> Iterator[str]:
    """Lists the files of a set: results, what they name, and labels."""
    for path in sorted(folder.glob("*.json")):
        if path.name != MANIFEST:
            yield path.name
            yield parsing.plain_json(path)["files"]["predictions"]
    yield from (f"labels/{path.name}" for path in sorted((folder / "labels").glob("*.safetensors")))


def described(content: bytes) -> dict[str, object]:
    """Returns what the manifest says of a file."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
