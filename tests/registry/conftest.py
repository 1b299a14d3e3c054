"""What tests of discovery share."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import hostile
import pytest
from registry.strangers import Discovered

from distillbench.registry.discovery import Registry, discover

SERIAL = itertools.count()


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Discovered:
    """Installs a module as a plugin of its own distribution, and discovers."""

    path = list(sys.path)

    def install(text: str) -> Registry:
        number = next(SERIAL)
        folder = tmp_path / str(number)
        folder.mkdir()
        hostile.install(folder, {f"hostile_{number}": text})
        monkeypatch.setattr(sys, "path", [str(folder), *path])
        monkeypatch.setattr(
            "distillbench.registry.discovery.distributions", lambda: hostile.beside(folder)
        )
        return discover()

    return install
