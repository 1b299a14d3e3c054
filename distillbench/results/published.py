"""Brings a published set of results here: from any address that fsspec reads."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from distillbench.errors import ResultError
from distillbench.results.publishing import FILE_NAME, MANIFEST, MANIFEST_FORMAT, described
from distillbench.storage import cache_folder, written_whole

_LARGEST = 1 << 30
_MOST_FILES = 100_000


def is_address(folder: str) -> bool:
    """Tells whether a folder of results is somewhere else."""
    return "://" in folder


def fetched(address: str) -> Path:
    """Returns a folder with the files of a published set, which are kept in the cache.

    Only what has changed is read again. Every file must have the size and the SHA-256 that the
    set's manifest says.

    Raises `ResultError` where the set cannot be read, is none, or is damaged.
    """
    import fsspec  # takes a tenth of a second, and most results are here

    shown = _shown(address)
    try:
        files, place = fsspec.core.url_to_fs(address)
        manifest = _manifest(files.cat_file(f"{place.rstrip('/')}/{MANIFEST}"), shown)
        folder = cache_folder("published", hashlib.sha256(address.encode()).hexdigest()[:24])
        (folder / "labels").mkdir(parents=True, exist_ok=True)
        for name, about in manifest.items():
            if _digest(folder / name) != about["sha256"]:
                _keep(folder / name, files.cat_file(f"{place.rstrip('/')}/{name}"), about, shown)
    except ImportError as error:
        missing = "pip install 'distillbench[published]' reads http addresses"
        raise ResultError(f"{shown}: cannot be read: {error} ({missing})") from error
    except FileNotFoundError as error:
        what = f"it has no {MANIFEST}: distillbench publish makes one"
        raise ResultError(f"{shown}: is no published set of results: {what}") from error
    except ResultError:
        raise
    except Exception as error:  # each of fsspec's file systems raises what it likes
        reason = str(error).replace(address, shown) or type(error).__name__
        raise ResultError(f"{shown}: cannot be read: {reason}") from error
    for path in [*folder.glob("*.*"), *folder.glob("labels/*.*")]:
        is_ours = path.name.startswith(".")  # the index of rows, which no set has
        if str(path.relative_to(folder)) not in manifest and not is_ours:  # was taken back
            path.unlink(missing_ok=True)
    return folder


def _manifest(text: bytes, shown: str) -> Mapping[str, Mapping[str, Any]]:
    """Reads the list of files; raises `ResultError` for names, sizes or digests that cannot be."""
    try:
        content = json.loads(text)
        known, files = content["format"], dict(content["files"])
        fine = len(files) <= _MOST_FILES and all(
            FILE_NAME.fullmatch(name)
            and type(about["bytes"]) is int
            and 0 <= about["bytes"] <= _LARGEST
            and re.fullmatch(r"[0-9a-f]{64}", about["sha256"])
            for name, about in files.items()
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ResultError(f"{shown}: its {MANIFEST} is damaged") from error
    if known != MANIFEST_FORMAT:
        raise ResultError(
            f"{shown}: its {MANIFEST} has format {known!r}; this distillbench reads 1"
        )
    if not fine:
        raise ResultError(f"{shown}: its {MANIFEST} names a file that no set has")
    return files


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _keep(path: Path, content: bytes, about: Mapping[str, Any], shown: str) -> None:
    if described(content) != {name: about[name] for name in ("bytes", "sha256")}:
        raise ResultError(f"{shown}: '{path.name}' is not what its {MANIFEST} says")
    with written_whole(path) as file:
        file.write(content)


def _shown(address: str) -> str:
    """Writes an address without user, password and query, which may be secrets."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
