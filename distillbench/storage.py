"""Writes files whole or not at all, and reads tensors back without unpickling anything."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from safetensors import SafetensorError, safe_open

from distillbench.errors import ResultError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:  # torch takes a second, and most files that are written have no tensors
    from torch import Tensor

_DRAFT = re.compile(r"\.(.+\.[a-z0-9_]{8}\.tmp|writable-[0-9a-f]{8})")
_DAY = 24 * 3600.0


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary file beside a path to fill.

    It takes the path's place, on disk, or leaves what was there.

    It is in a folder `.NAME.XXXXXXXX.tmp` of its own, with whatever the main process puts beside
    it, and goes away with it. If the process is killed it stays until `remove_drafts`.
    """
    with _draft(path) as folder:
        temporary = folder / path.name
        temporary.touch()
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """Gives a folder beside a path, locked by this process, and removes it."""
    folder, handle = _locked_folder(path)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _locked_folder(path: Path) -> tuple[Path, int | None]:
    """Makes a folder beside a path and locks it.

    Returns it and what holds the lock, None on a system without locks.
    """
    while True:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
        if fcntl is None:
            return folder, None
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # `remove_drafts` was faster than the lock
            continue
        with suppress(OSError):  # the file system knows no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder, handle
        os.close(handle)


@contextmanager
def held(path: Path, busy: Exception) -> Iterator[None]:
    """Holds a folder, or a file that is made; raises `busy` where another does.

    Held until the process ends, however that is. Where the system or the file system knows no
    locks, nobody is kept out.
    """
    if fcntl is None:
        yield
        return
    # NFS locks a file for one process only if it may be written.
    how = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    handle = os.open(path, how, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        except OSError:  # the file system knows no locks
            pass
        yield
    finally:
        os.close(handle)


def remove_drafts(folder: Path) -> None:
    """Removes from a folder the temporary files of writers that were killed.

    A writer holds a lock on its draft, which ends with its process wherever that runs, so that one
    at work loses nothing. Where the system or the file system knows no locks, and of files that an
    earlier version left, which have none, only those are removed in which nothing was changed for a
    day.
    """
    try:
        drafts = [path for path in folder.iterdir() if _DRAFT.fullmatch(path.name)]
    except OSError:
        return
    for draft in drafts:
        with suppress(OSError):
            if draft.is_symlink() or not draft.is_dir():
                if _is_old(draft):
                    draft.unlink()
            else:
                _remove_unless_locked(draft)


def _remove_unless_locked(draft: Path) -> None:
    if fcntl is None:
        if _is_all_old(draft):
            shutil.rmtree(draft, ignore_errors=True)
        return
    handle = os.open(draft, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        except OSError:
            if not _is_all_old(draft):
                return
        shutil.rmtree(draft, ignore_errors=True)
    finally:
        os.close(handle)


def _is_all_old(folder: Path) -> bool:
    return all(map(_is_old, [folder, *folder.iterdir()]))


def _is_old(path: Path) -> bool:
    return time.time() - path.lstat().st_mtime > _DAY


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` fill a temporary file, then puts it in the path's place.

    A failure leaves what was there.

    Makes the folder where there is none. Raises `ResultError` where it cannot be written to or the
    disk is full.
    """
    with _reasons(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            write(temporary)


def check_writable(folder: Path) -> None:
    """Makes a folder where there is none; raises `ResultError` where it cannot be written to."""
    with _reasons(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _draft(folder / "trial") as draft:
            (draft / "trial").touch()


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ResultError(
            f"'{path}' cannot be written: {reason}; nothing there was changed"
        ) from error


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for writing that appears at `path` complete and on disk, or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        yield file


def cache_folder(*parts: str) -> Path:
    """Returns a folder of the cache, where things are kept that can be made again.

    It need not exist. $DISTILLBENCH_CACHE, else one under $XDG_CACHE_HOME.
    """
    chosen = os.environ.get("DISTILLBENCH_CACHE")
    if chosen:
        return Path(os.path.expanduser(chosen)).joinpath(*parts)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache").joinpath("distillbench", *parts)


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any] | None = None
) -> None:
    """Writes tensors and metadata (JSON) as one safetensors file, completely or not at all."""
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_atomically(
        path, lambda temporary: save_file(plain, temporary, {"about": json.dumps(about or {})})
    )


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `save_tensors` wrote; raises `ResultError` where the file is damaged."""
    with opened(path, "pt", "tensors") as file:
        about = json.loads((file.metadata() or {}).get("about", "{}"))
        if not isinstance(about, dict):
            raise ValueError("the description of its tensors is not a mapping")
        return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118 - no mapping


def require_regular(path: Path) -> None:
    """Raises `OSError` where a path is not a regular file.

    Reading a pipe, for example, would wait forever.
    """
    if path.exists() and not path.is_file():
        raise OSError("it is not a regular file")


@contextmanager
def opened(path: Path, framework: Literal["pt", "numpy"], what: str) -> Iterator[Any]:
    """Opens a safetensors file of `what`.

    Raises `ResultError` that names the file where it is missing or damaged.
    """
    try:
        require_regular(path)
        with safe_open(path, framework=framework) as file:
            yield file
    except OSError as error:
        raise ResultError(f"'{path}': cannot read {what}: {error.strerror or error}") from error
    except (SafetensorError, ValueError, RecursionError) as error:
        raise ResultError(f"'{path}': not a safetensors file, or a damaged one: {error}") from error
