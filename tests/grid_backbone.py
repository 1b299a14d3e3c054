"""A backbone whose features show the number that is painted into a frame."""

from __future__ import annotations

from pathlib import Path

import hostile
import pytest
from encoded import BITS, UPRIGHT
from numpy.typing import NDArray

from distillbench.scaffold import example

GRID = "my-backbone"
ENDING = "ends"


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Installs the backbone that `distillbench new` writes, which averages cells, and one that ends its process."""
    folder.mkdir()
    grid = example("backbone", GRID)
    ending = grid.replace(GRID, ENDING).replace("MyBackbone", "Ends")
    ending = ending.replace(
        "        encoded: Tensor",
        "        import os, sys\n"
        "        if pictures.float().mean() > 200: os.kill(os.getpid(), 9)\n"
        "        encoded: Tensor",
    )
    hostile.install(folder, {"cell_means": grid, "cell_means_ending": ending}, "grids", "1")
    monkeypatch.syspath_prepend(str(folder))
    return GRID


def numbers_of(features: NDArray) -> list[int]:
    """The numbers that frames of features (T, 3 * 16) show; -1 where a picture is turned."""
    cells = features.reshape(-1, 3, 16).mean(1) > 0.5
    return [
        sum(int(bit) << place for place, bit in enumerate(row[:BITS]))
        if tuple(row[BITS:]) == UPRIGHT
        else -1
        for row in cells.tolist()
    ]
