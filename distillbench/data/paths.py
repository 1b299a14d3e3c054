"""Paths as a user writes them."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(path: str) -> Path:
    """Returns a path with `~` and `~user` replaced, and as it was given where there is no such user."""
    return Path(os.path.expanduser(path))  # pathlib's own raises RuntimeError for such a user
