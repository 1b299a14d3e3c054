"""Reads TOML files that users write."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from distillbench.errors import ConfigError
from distillbench.storage import require_regular


def flat(table: Mapping[str, object], within: str = "") -> Iterator[tuple[str, object]]:
    """Yields the values of nested tables by dotted name."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{within}{name}.")
        else:
            yield f"{within}{name}", value


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a file; raises `ConfigError` where it cannot be read or is not TOML."""
    try:
        require_regular(path)
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError([f"the file '{path}' cannot be read: {reason}"]) from error
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, too many digits or brackets
        raise ConfigError([f"the file '{path}' is not valid TOML: {error}"]) from error
