"""Claims rest on rows that had converged.

A claim says which rows it rests on, in a comment behind it: `<!-- rests on CSV: row; row -->`, CSV being
a table below benchmarks/results whose first column names its rows.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "benchmarks" / "results"
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
RESTS_ON = re.compile(r"<!-- rests on (?P<table>\S+\.csv): (?P<rows>.+?) -->")
CLAIMS = [
    pytest.param(page, found["table"], row.strip(), id=f"{page.name}-{row.strip()}")
    for page in PAGES
    for found in RESTS_ON.finditer(page.read_text(encoding="utf-8"))
    for row in found["rows"].split(";")
]


def rows_of(table: str) -> dict[str, dict[str, str]]:
    with (RESULTS / table).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {next(iter(row.values())): row for row in rows}


@pytest.mark.parametrize(("page", "table", "row"), CLAIMS)
def test_no_claim_rests_on_a_row_that_was_still_improving(page: Path, table: str, row: str) -> None:
    found = rows_of(table)
    assert row in found, f"{table} has no row '{row}'"
    assert found[row]["improving"] == "0", "train it longer, or take the claim back"


def test_every_claim_of_the_board_says_what_it_rests_on() -> None:
    text = (REPOSITORY / "docs" / "zoo.md").read_text(encoding="utf-8")
    section = text.split("## What it shows\n")[1].split("\n## ")[0]
    claims = re.split(r"\n(?=\d+\. )", section)[1:]
    assert len(claims) > 3
    assert [claim.splitlines()[0] for claim in claims if not RESTS_ON.search(claim)] == []
