"""Choosing rows of runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Lists rows as dictionaries."""
    # As DataFrame.to_dict does, which asks of each cell what kind of number it is.
    columns = {str(name): cells.tolist() for name, cells in rows.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def picked(rows: pd.DataFrame, wanted: Callable[[Mapping[str, Any]], bool]) -> pd.DataFrame:
    """Keeps the rows of which `wanted` is true."""
    kept: pd.DataFrame = rows[np.array([bool(wanted(row)) for row in records(rows)], dtype=bool)]
    return kept


def having(rows: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    """Keeps the rows whose columns have these values."""
    for name, value in wanted.items():
        rows = rows[rows[name].astype(str) == str(value)]
    return rows


def frames(rows: pd.DataFrame) -> list[int]:
    """Lists the numbers of frames k that rows have, ascending; networks that see all have none."""
    return sorted({int(k) for k in rows["k"] if k != "all"})
