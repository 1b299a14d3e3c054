"""Joins answers to a family of contrasts that were found on several machines, and corrects them together (Holm).

    distillbench compare --holm benchmarks/study/contrasts.toml --results results/reels --format csv > found.csv
    python benchmarks/study/join_contrasts.py found.csv benchmarks/results/contrasts.csv

A contrast that `found.csv` does not answer, because its results are not at hand, keeps the answer that the second table gives under the same name.
The second table is written anew. Its p_holm and real are those of the family as it is then; a contrast without an answer counts in it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from distillbench.analysis.contrasts import LEVEL, holm
from distillbench.storage import write_text


def joined(found: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of `found`, in their order, with earlier answers where it has none."""
    answered = found[found["value"].notna()]
    known = pd.concat([answered, earlier]).drop_duplicates("contrast").set_index("contrast")
    rows = known.reindex(found["contrast"])
    rows["p_holm"] = holm(rows["p"].fillna(1.0).tolist())
    rows["real"] = rows["p_holm"] <= LEVEL
    return rows.reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("found", type=Path, help="what `compare --holm --format csv` printed")
    parser.add_argument(
        "table", type=Path, help="the table of earlier answers, written anew; it need not exist"
    )
    asked = parser.parse_args()
    found = pd.read_csv(asked.found)
    earlier = pd.read_csv(asked.table) if asked.table.exists() else found
    write_text(asked.table, joined(found, earlier).to_csv(index=False))


if __name__ == "__main__":
    main()
