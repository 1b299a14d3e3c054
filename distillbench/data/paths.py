"""Paths as a user writes them."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(path: str) -> Path:
    """Returns a path with `~` and `~user` replaced.

    A path whose user does not exist is returned as it is.
    """
    return Path(os.path.expanduser(path))  # pathlib's own raises RuntimeError for such a user
