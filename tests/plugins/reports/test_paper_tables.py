"""Tables of the paper, and claims: which runs are in which cell."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from reporting import Make, cells_of, stored, table

from distillbench.cli.render import tables
from distillbench.errors import ConfigError
from distillbench.interfaces import Cell
from distillbench.reports import cell, records, seeds_note
from distillbench.results.store import Result
from distillbench_plugins.paper import published
from distillbench_plugins.paper.methods import QUALITY, objective

REPOSITORY = Path(__file__).resolve().parents[3]


def test_table_1_has_the_papers_rows_and_our_means(main_results: list[Result]) -> None:
    found = table("table1", main_results)
    gaps = [r.content["metrics"]["gap"] for r in main_results[:2]]
    assert len(found.rows) == 13
    assert cells_of(found, "Uniform-k", "")[0] == pytest.approx(np.mean(gaps))
    assert cells_of(found, "Serial", "L_rep, L_pred, L_CE")[2] is not None
    assert cells_of(found, "Teacher-Skyline", "")[:2] == [None, None]
    assert cells_of(found, "Parallel", "L_rep") == [None] * 4


def test_controls_and_parts_of_the_data_are_not_in_table_1(
    make_result: Make, main_results: list[Result]
) -> None:
    others = [
        make_result(schedule="scratch", k=3, train_selector="random", knows=5.0),
        make_result("schedule.epochs_factor=2", schedule="scratch", k=3, knows=5.0),
        make_result("schedule.targets=shuffled", schedule="serial", k=3, knows=5.0),
        make_result("loss.ce.label_smoothing=0.1", schedule="scratch", k=3, knows=5.0),
        make_result(schedule="scratch", k=3, train=32, knows=5.0),
    ]
    assert table("table1", [*main_results, *others]).rows == table("table1", main_results).rows


def test_a_cell_of_two_methods_is_refused_and_says_in_what_they_differ(make_result: Make) -> None:
    results = [
        make_result("schedule.head=tied", schedule="serial"),
        make_result(schedule="serial", seed=1),
    ]
    with pytest.raises(ConfigError, match=r"schedule\.head = copy or tied"):
        table("table1", results)
    assert table("table1", results, ["schedule.head=tied"]).rows


def test_a_cell_of_two_precisions_is_refused_and_says_so(make_result: Make) -> None:
    one, two = make_result(schedule="serial"), make_result(schedule="serial", seed=1)
    other = Result(
        two.path, {**two.content, "machine": {**two.content["machine"], "precision": "bf16"}}
    )
    with pytest.raises(ConfigError, match=r"of several methods: precision = bf16 or fp32; choose"):
        table("table1", [one, other])


def test_table_2_puts_intermediate_beside_final_matching(make_result: Make) -> None:
    results = [
        make_result(schedule="serial", loss=loss, k=4) for loss in ("rep,ce", "rep-intermediate,ce")
    ]
    found = table("table2", results)
    row = cells_of(found, "Serial", "L_rep, L_CE")
    assert [value is not None for value in row] == [True] * 4


def test_table_3_has_a_column_for_each_part_of_the_data(make_result: Make) -> None:
    results = [
        make_result(schedule=s, k=4, train=n, knows=n / 50)
        for s in ("scratch", "serial")
        for n in (16, 32, 64)
    ]
    found = table("table3", results)
    assert [lower for _, lower in found.columns[:3]] == ["25%", "50%", "100%"]
    assert cells_of(found, "Serial")[0] is not None
    assert found.rows[0][1][0].published == 0.788


def test_table_4_counts_in_full_and_as_the_paper_does(main_results: list[Result]) -> None:
    found = table("table4", main_results)
    assert cells_of(found, "k=6") == pytest.approx([0.1, 0.2, 0.1, 0.4, 0.006, 0.012, 5.4e-06])
    assert [names[0] for names, _ in found.rows] == ["Teacher-Skyline", "k=3", "k=6"]


def objective_of(result: Result) -> str:
    (row,) = records(stored([result]).rows)
    return objective(row)


def test_an_objective_is_named_without_weights_in_the_papers_order(make_result: Make) -> None:
    assert objective_of(make_result(loss="pred:2,ce,rep:0.5")) == "rep,ce,pred"
    assert objective_of(make_result(loss="rep")) == "rep"
    assert objective_of(make_result(schedule="scratch")) == "ce"


def test_the_papers_digits_stand_beside_ours_only_when_asked_for() -> None:
    ours = cell([0.7, 0.8], published=0.715)
    assert tables.text(ours, with_published=True) == "0.750 ± 0.071 (.715)"
    assert tables.text(ours, with_published=False) == "0.750 ± 0.071"
    assert tables.text(cell([], 0.715), with_published=True) == "- (.715)"


def test_the_papers_tables_are_complete() -> None:
    assert len(published.TABLE_1) == 60
    assert len(published.TABLE_2) == 12
    assert published.TABLE_1["serial", "rep,ce,pred", 30] == (0.806, 0.405)


def test_a_teacher_shown_the_students_frames_is_a_method_of_its_own(make_result: Make) -> None:
    results = [
        make_result(schedule="scratch", k=3, knows=0.5),
        make_result("schedule.targets=same-frames", schedule="serial", k=3, knows=2.0),
        make_result(schedule="serial", k=3, knows=2.5),
    ]
    found = table("controls", results)
    assert [words[1] for words, _ in found.rows] == [
        "as it is",
        "as it is",
        "teacher sees the same frames",
    ]


def counted(path: Path) -> str:
    """Says of a table that was written as CSV what its note says of seeds."""
    found: dict[tuple[str, ...], dict[tuple[str, str], Cell]] = {}
    for line in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        words = tuple(
            line[head]
            for head in line
            if head in ("model", "training", "student loss", "student", "trained")
        )
        found.setdefault(words, {})[line["column"], line["metric"]] = Cell(seeds=int(line["seeds"]))
    columns = tuple(dict.fromkeys(column for cells in found.values() for column in cells))
    return seeds_note(
        [(w, tuple(cells.get(c, Cell()) for c in columns)) for w, cells in found.items()],
        columns,
        QUALITY.values(),
    )


@pytest.mark.parametrize("name", ["table1", "table2", "table3"])
def test_the_stored_tables_say_how_many_seeds_their_cells_have(name: str) -> None:
    stored = REPOSITORY / "benchmarks" / "results" / "claims"
    title = f"Table {name.removeprefix('table')}:"
    (section,) = [
        section
        for section in re.split(
            r"^(?=\*\*)", (stored / "tables.md").read_text(encoding="utf-8"), flags=re.MULTILINE
        )
        if section.startswith(f"**{title}")
    ]
    assert f"\n{counted(stored / f'{name}.csv')}\n" in section


def test_every_claim_that_can_be_compared_is_and_the_others_are_named(
    main_results: list[Result], make_result: Make
) -> None:
    part = [make_result(schedule=s, k=6, train=32) for s in ("scratch", "serial")]
    found = table("claims", [*main_results, *part])
    words = [words for words, _ in found.rows]
    assert ("2 distilled beats alone", "serial rep,ce,pred", "uniform-k alone", "3", "64") in words
    assert ("6 more so with less data", "serial rep,ce,pred", "uniform-k alone", "6", "32") in words
    assert ("7 few frames come close", "uniform-k alone", "teacher", "6", "64") in words
    assert words == sorted(words, key=lambda each: each[0])
    difference, low, high, _ = found.rows[words.index(words[0])][1]
    assert low.value is not None
    assert low.value <= difference.value <= high.value
    assert any(
        "not run: 4 serial is at least as good: serial rep against" in n for n in found.notes
    )


def test_whose_published_digits_stand_in_brackets_is_said_where_there_are_some(
    main_results: list[Result],
) -> None:
    said = "in brackets: the paper's digits (YouTube-8M, single runs)"
    assert said in tables.render(table("table1", main_results), "markdown", True)
    assert "in brackets" not in tables.render(table("table1", main_results), "markdown", False)
    assert "in brackets" not in tables.render(table("controls", main_results), "markdown", True)
