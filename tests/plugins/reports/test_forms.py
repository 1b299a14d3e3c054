"""Tables as text: every form, marks and notes."""

from __future__ import annotations

import copy
import csv
import io

import pytest
from reporting import Make, cells_of, table

from distillbench.cli.render import tables
from distillbench.interfaces import Table
from distillbench.reports import cell
from distillbench.results.store import Result


@pytest.mark.parametrize("form", ["rich", "markdown", "latex", "csv"])
def test_every_form_holds_every_number(main_results: list[Result], form: str) -> None:
    found = table("table1", main_results)
    written = tables.render(found, form, with_published=True)
    shown = cells_of(found, "Uniform-k", "")[0]
    assert shown is not None
    assert (repr(shown) if form == "csv" else f"{shown:.3f}") in written
    assert "First-Middle-Last-k" in written


def test_latex_escapes_and_balances() -> None:
    found = Table("a & b_1", ("x",), (("k=3", "GAP"),), ((("L_rep",), (cell([0.5, 0.6]),)),))
    written = tables.render(found, "latex", with_published=False)
    assert r"a \& b\_1" in written
    assert r"L\_rep & 0.550 $\pm$ 0.071 \\" in written
    assert written.count(r"\begin{") == written.count(r"\end{")


def with_a_serial_one_improving(results: list[Result]) -> list[Result]:
    """The results, of which a serial one has its best epoch last."""
    serial = next(r for r in results if r.record.setup.schedule.name == "serial")
    content = copy.deepcopy(dict(serial.content))
    content["history"][-1]["networks"]["student"]["best"] = 2
    improving = Result(serial.path, content, serial.metrics)
    return [improving if result is serial else result for result in results]


def test_claims_that_rest_on_runs_that_were_still_improving_are_marked(
    main_results: list[Result],
) -> None:
    made = table("claims", with_a_serial_one_improving(main_results))
    marked = {words[1:3] for words, cells in made.rows if any(cell.improving for cell in cells)}
    assert ("serial rep,ce,pred", "uniform-k alone") in marked
    assert ("uniform-k", "first-k") not in marked


def test_cells_of_runs_that_were_still_improving_are_marked(main_results: list[Result]) -> None:
    assert "still improving" not in tables.render(table("table1", main_results), "markdown", False)
    made = table("table1", with_a_serial_one_improving(main_results))
    written = tables.render(made, "markdown", False)
    assert sum(cell.improving for _, row in made.rows for cell in row) == 2  # of GAP and mAP
    assert written.count("*") == 4 + 2 + 1  # the bold title, two cells and the note
    assert "* some of its runs were still improving" in written


def test_negative_numbers_stay_numbers_in_csv() -> None:
    found = Table("t", ("method",), (("k=3", "gain"),), ((("=A1",), (cell([-0.25]),)),))
    (row,) = csv.DictReader(io.StringIO(tables.render(found, "csv", False)))
    assert (row["method"], row["mean"]) == ("'=A1", "-0.25")


def test_csv_has_a_line_a_cell(main_results: list[Result]) -> None:
    rows = list(
        csv.DictReader(io.StringIO(tables.render(table("table1", main_results), "csv", False)))
    )
    found = [row for row in rows if row["model"] == "Uniform-k" and row["metric"] == "GAP@20"]
    assert [row["seeds"] for row in found] == ["2", "2"]


def test_a_note_says_how_many_seeds_each_cell_has_when_all_have_as_many(
    main_results: list[Result],
) -> None:
    students = [result for result in main_results if result.content["network"] == "student"]
    assert table("table1", students).notes[0] == "mean ± standard deviation over 2 seeds"
    assert table("table4", [main_results[0]]).notes[-1] == "one seed"


def test_a_note_says_how_many_seeds_each_cell_has_when_rows_or_cells_differ(
    make_result: Make, main_results: list[Result]
) -> None:
    assert (
        table("table1", main_results).notes[0]
        == "mean ± standard deviation over 2 seeds; over 1 in: Teacher-Skyline"
    )
    more = make_result(schedule="scratch", selector="uniform", k=6, seed=2)
    told = table("table1", [*main_results, more]).notes[0]
    assert (
        told
        == "mean ± standard deviation over 2 seeds; over 1 in: Teacher-Skyline; over 3 in: Uniform-k (k=6)"
    )
    assert table("controls", main_results).notes[-1] == "mean ± standard deviation over 2 seeds"
