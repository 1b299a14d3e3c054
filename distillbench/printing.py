"""Keeps what third-party code prints out of a command's output."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TextIO


@contextmanager
def printing_to_stderr() -> Iterator[None]:
    """Sends to standard error what is meanwhile printed.

    By Python, by a C library or to file descriptor 1.
    """
    with _diverted(sys.stderr, 2):
        yield


@contextmanager
def printing_nothing() -> Iterator[None]:
    """Throws away what is meanwhile printed: by Python, by a C library or to file descriptor 1."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, _diverted(nowhere, None):
        yield


@contextmanager
def _diverted(stream: TextIO, descriptor: int | None) -> Iterator[None]:
    """Replaces `sys.stdout` by a stream, and descriptor 1 by another.

    Where that is closed or None, by the null device.

    In another thread than the first it does nothing: what it replaces is the whole process's, and
    two threads that put it back in another order than they took it would leave it replaced.

    Buffers are emptied on the way in and out, so that each text ends up where it was printed. A
    process without descriptor 1 stays without.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = sys.stdout
    _flush(before)
    kept = _duplicate(1)  # first of all: where it is closed, the next to be opened has its number
    target = None if descriptor is None else _duplicate(descriptor)
    target = os.open(os.devnull, os.O_WRONLY) if target is None else target
    try:
        if kept is not None:
            os.dup2(target, 1)
        with redirect_stdout(stream):
            try:
                yield
            finally:
                _flush(sys.stdout)
                _flush(before)
    finally:
        os.close(target)
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)


def _duplicate(descriptor: int) -> int | None:
    try:
        return os.dup(descriptor)
    except OSError:  # it is closed
        return None


def _flush(current: TextIO | None) -> None:
    for stream in (current, sys.__stdout__):
        with suppress(
            AttributeError, OSError, ValueError
        ):  # there is none, nobody reads it, it is closed
            stream.flush()  # type: ignore[union-attr]
    with suppress(AttributeError, OSError, TypeError):  # a platform whose C library is not found so
        ctypes.CDLL(None).fflush(None)
