"""Reads sizes such as 20GB, as a user writes them."""

from __future__ import annotations

import re

from distillbench.errors import ConfigError

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(?:([kmgt])(i?)b|b)", re.IGNORECASE)


def bytes_of(text: str, flag: str) -> int:
    """Reads a size such as 500MB, 1.5GB, 20GiB or 0, and returns bytes.

    flag: the option that the size was given for.

    Raises `ConfigError`, naming the option, if the text is not a valid size.
    """
    if text.strip() == "0":
        return 0
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        problem = f"{flag} takes a size with its unit, such as 500MB or 20GB, or 0; found '{text}'"
        raise ConfigError([problem])
    number, prefix, binary = found.groups()
    # The position of the prefix is its power; position 0 is no prefix.
    power = " kmgt".index(prefix.lower()) if prefix else 0
    base = 1024 if binary else 1000
    return int(float(number) * base**power)
