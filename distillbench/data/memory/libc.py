"""The C library's calls that map files at a given address.

Python's `mmap` chooses addresses of its own.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from functools import cache

from distillbench.errors import DataError

_MAP_FIXED = 0x10  # these three are the same numbers on Linux and macOS
_PROT_NONE = 0
_WILLNEED = 3


def reserve(size: int) -> int:
    """Sets addresses aside that nothing is mapped to yet; returns the first.

    `size` is in whole pages.

    Raises `DataError` on a system that has no such call.
    """
    if _library() is None:
        raise DataError(
            "this system cannot map files into memory as reading shards needs; use Linux or macOS"
        )
    return _mapped(0, size, _PROT_NONE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)


def map_file(address: int, size: int, handle: int) -> None:
    """Maps an open file, read-only, to reserved addresses."""
    _mapped(address, size, mmap.PROT_READ, mmap.MAP_SHARED | _MAP_FIXED, handle)


def release(address: int, size: int) -> None:
    """Gives reserved addresses back, and whatever is mapped to them."""
    library = _library()
    if library is not None:
        library.munmap(address, size)


def will_need(address: int, size: int) -> None:
    """Has the system read the pages of a stretch without waiting for them.

    A refusal costs time, nothing else.
    """
    library = _library()
    if library is not None:
        library.madvise(address, size, _WILLNEED)


def _mapped(address: int, size: int, protection: int, flags: int, handle: int) -> int:
    library = _library()
    assert library is not None, "addresses have been reserved"
    found = library.mmap(address, size, protection, flags, handle, 0)
    if found is None or found == ctypes.c_void_p(-1).value:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(found)


@cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(None, use_errno=True)
    except TypeError:  # Windows
        return None
    number, pointer, size = ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t
    library.mmap.restype = pointer
    library.mmap.argtypes = [pointer, size, number, number, number, ctypes.c_int64]
    library.munmap.argtypes = [pointer, size]
    library.madvise.argtypes = [pointer, size, number]
    return library
