"""Joins answers to a family of contrasts that were found on several machines, and corrects them together (Holm).

    distillbench compare --holm benchmarks/study/contrasts.toml --results results/reels --format csv |
        python benchmarks/study/join_contrasts.py benchmarks/results/contrasts.csv

A contrast that is not answered, because its results are not at hand, keeps the answer that the table gives under the same name.
The table is written anew. Its p_holm and real are those of the family as it is then; a contrast without an answer counts in it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TextIO

import pandas as pd

from distillbench.analysis.contrasts import LEVEL, holm
from distillbench.storage import write_text


def read(source: Path | TextIO) -> pd.DataFrame:
    """Reads what `compare --holm --format csv` prints; exits with a message where it is something else."""
    name = source if isinstance(source, Path) else source.name
    columns = {"contrast": str, "value": float, "p": float}
    try:
        table = pd.read_csv(source, dtype=columns)
    except ValueError as error:
        raise SystemExit(
            f"{name}: not what `compare --holm --format csv` prints: {error}"
        ) from None
    if table.empty or not columns.keys() <= {*table.columns}:
        raise SystemExit(
            f"{name}: not what `compare --holm --format csv` prints: a row for each contrast, with"
            f" {', '.join(columns)}"
        )
    return table


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
    parser.add_argument(
        "table", type=Path, help="the table of earlier answers, written anew; it need not exist"
    )
    table = parser.parse_args().table
    found = read(sys.stdin)
    earlier = read(table) if table.exists() else found
    write_text(table, joined(found, earlier).to_csv(index=False))


if __name__ == "__main__":
    main()
