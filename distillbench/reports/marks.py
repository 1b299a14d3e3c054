"""The signs behind numbers of a leaderboard, and what each of them says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from distillbench.reports.amounts import DOUBTFUL

LIKE_BEST, ONE_SEED = "≈", "†"
MARKS = {
    LIKE_BEST: "may be the best: of as many equal rows, one is denied this mark on 5 % of boards",
    ONE_SEED: "one seed: the interval is valid for these trained networks, not for other seeds",
    DOUBTFUL: "measured while something else may have slowed the machine down",
}
"""What each sign says."""


def mark(row: Mapping[str, Any], name: str) -> str:
    """Returns the sign behind a metric's interval.

    One seed, or as good as the best row, or none.
    """
    low = row.get(f"{name}_low")
    if not isinstance(low, float) or math.isnan(low):
        return ""
    if row.get("seeds", 1) == 1:
        return ONE_SEED
    # Rows without a comparison hold NaN or pd.NA here, neither of which is usable as False.
    is_like_best = name == row.get("like_best_by") and row["like_best"] is True
    return LIKE_BEST if is_like_best else ""
