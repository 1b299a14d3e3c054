"""Sizes as a user writes them."""

from __future__ import annotations

import re

from distillbench.errors import ConfigError

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(?:([kmgt])(i?)b|b)", re.IGNORECASE)


def bytes_of(text: str, flag: str) -> int:
    """Turns 500MB, 1.5GB, 20GiB or 0 into bytes; raises `ConfigError`, naming the flag, where it is no size."""
    if text.strip() == "0":
        return 0
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ConfigError(
            [f"{flag} takes a size with its unit, such as 500MB or 20GB, or 0; found '{text}'"]
        )
    number, prefix, binary = found.groups()
    power = " kmgt".index(prefix.lower()) if prefix else 0
    return int(float(number) * (1024 if binary else 1000) ** power)
