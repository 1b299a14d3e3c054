"""Claims rest on rows that had converged.

A claim says which rows it rests on, in a comment behind it: `<!-- rests on CSV: row; row -->`, CSV being
a table below benchmarks/results whose first column names its rows. A table of a report has a line a
cell, and so several lines a row.
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


def improving(path: Path) -> dict[str, int]:
    """Returns how many runs of each row were still improving when their epochs were spent."""
    found: dict[str, int] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            row = next(iter(line.values()))
            found[row] = max(found.get(row, 0), int(line["improving"]))
    return found


@pytest.mark.parametrize(("page", "table", "row"), CLAIMS)
def test_no_claim_rests_on_a_row_that_was_still_improving(page: Path, table: str, row: str) -> None:
    found = improving(RESULTS / table)
    assert row in found, f"{table} has no row '{row}'"
    assert found[row] == 0, "train it longer, or take the claim back"


def test_a_row_of_several_lines_is_still_improving_if_one_of_them_is(tmp_path: Path) -> None:
    table = tmp_path / "arms.csv"
    table.write_text("arm,metric,improving\nrep,GAP@20,2\nrep,gain,0\npred,GAP@20,0\n")
    assert improving(table) == {"rep": 2, "pred": 0}


@pytest.mark.parametrize(
    ("page", "heading", "claimed"),
    [
        ("zoo.md", "## What it shows\n", 9),
        ("study.md", "## AudioSet, five of ten frames\n", 5),
        ("study.md", "## AudioSet, two and three of ten frames\n", 2),
        ("study.md", "## reels, 15 frames of a reel\n", 4),
        ("study.md", "## Spoken digits, ten frames of a string\n", 4),
        ("study.md", "## Why a student gains from its teacher, or does not\n", 4),
        ("study.md", "## The paper's seven claims on `digits`\n", 7),
    ],
)
def test_every_claim_of_a_list_says_what_it_rests_on(page: str, heading: str, claimed: int) -> None:
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    section = text.split(heading)[1].split("\n## ")[0]
    claims = re.split(r"\n(?=\d+\. )", section)[1:]
    assert len(claims) == claimed
    assert [claim.splitlines()[0] for claim in claims if not RESTS_ON.search(claim)] == []
