from __future__ import annotations

import copy
import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import installed

from distillbench.cli.render import tables
from distillbench.config.run_spec import RunSpec
from distillbench.errors import ConfigError
from distillbench.interfaces import Cell, Figure, Runs, Table
from distillbench.reports import STYLE, cell, records, seeds_note
from distillbench.reports.figure import save
from distillbench.reports.runs import StoredRuns, networks_with
from distillbench.results import failures
from distillbench.results.store import Result
from distillbench_plugins.paper import published
from distillbench_plugins.paper.methods import QUALITY, objective
from distillbench_plugins.reports.tuned_arms import Compared

REPOSITORY = Path(__file__).resolve().parents[2]

Make = Callable[..., Result]
SUBJECTS = installed().names("report")
FIGURES = ["figure2", "pareto", "budget", "learning-curves"]


def stored(results: list[Result], conditions: list[str] | None = None) -> StoredRuns:
    return StoredRuns(results, networks_with(installed()), conditions or [])


def made(name: str, runs: Runs, **knobs: object) -> Any:
    component = installed().find("report", name)
    assert component is not None
    return component.cls(**knobs).make(runs)


def table(name: str, results: list[Result], conditions: list[str] | None = None) -> Table:
    found: Table = made(name, stored(results, conditions))
    assert isinstance(found, Table)
    return found


def figure_of(name: str, results: list[Result], plt: Any, columns: int = 2, **knobs: object) -> Any:
    found = made(name, stored(results), **knobs)
    assert isinstance(found, Figure)
    with plt.rc_context(STYLE):
        return found.draw(plt, columns)


def cells_of(table: Table, *words: str) -> list[float | None]:
    (row,) = [row for names, row in table.rows if names == words]
    return [cell.value for cell in row]


@pytest.fixture
def main_results(make_result: Make) -> list[Result]:
    alone = [
        make_result(schedule="scratch", selector="uniform", k=k, seed=s, knows=1.0)
        for k in (3, 6)
        for s in (0, 1)
    ]
    serial = [
        make_result(schedule="serial", loss="rep,ce,pred", k=k, seed=s, knows=1.4)
        for k in (3, 6)
        for s in (0, 1)
    ]
    return [*alone, *serial, make_result(schedule="teacher", knows=2.0)]


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


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("there", ["nothing", "damaged", "failures", "int8", "another condition"])
def test_a_report_of_nothing_says_what_is_there_instead(
    make_result: Make,
    make_spec: Callable[..., RunSpec],
    command: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    subject: str,
    there: str,
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    arguments = []
    if there == "damaged":
        (folder / "x.json").write_text("{")
    elif there == "failures":
        failures.keep(folder, make_spec(k=3), "failed", "the disk is full")
    elif there == "int8":
        path = make_result().path
        path.write_text(path.read_text().replace('"fp32"', '"int8"'))
    elif there == "another condition":
        make_result(k=3)
        arguments = ["--where", "k=4"]
    code, out, err = command("report", subject, "--results", folder, *arguments)
    assert (code, out) == (2, "")
    said = {
        "nothing": f"no results in '{folder}' yet; distillbench run makes the first",
        "damaged": f"no results in '{folder}' yet, but 1 damaged file; distillbench run makes the first",
        "failures": f"no results in '{folder}' yet, but 1 run without a result; distillbench run makes the first",
        "int8": "there are 1 of networks in 8 bits or exported alone; distillbench run makes the first",
        "another condition": "none of 1 results meets k=4",
    }
    assert said[there] in err


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("schedule", ["teacher", "scratch", "serial"])
def test_a_report_of_one_run_ends_in_a_table_or_a_clear_error(
    make_result: Make, command: Callable[..., tuple[int, str, str]], subject: str, schedule: str
) -> None:
    folder = make_result(schedule=schedule).path.parent
    code, _, err = command(
        "report", subject, "--results", folder, "--format", "csv", "--out", folder / "out"
    )
    assert code in (0, 2), err


def test_several_data_sets_are_told_apart_by_the_user(make_result: Make, tmp_path: Path) -> None:
    result = make_result()
    other = Result(
        result.path,
        {
            **result.content,
            "setup": {
                **result.content["setup"],
                "data": {**result.content["setup"]["data"], "name": "birds"},
            },
        },
    )
    with pytest.raises(ConfigError, match="birds and digits"):
        stored([result, other])
    assert stored([result, other], ["data=birds"]).data == "birds"


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


def test_cells_of_runs_that_were_still_improving_are_marked(main_results: list[Result]) -> None:
    assert "still improving" not in tables.render(table("table1", main_results), "markdown", False)
    serial = next(r for r in main_results if r.record.setup.schedule.name == "serial")
    content = copy.deepcopy(dict(serial.content))
    content["history"][-1]["networks"]["student"]["best"] = 2
    improving = Result(serial.path, content, serial.metrics)
    others = [result for result in main_results if result is not serial]
    made = table("table1", [*others, improving])
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


def test_the_papers_tables_are_complete() -> None:
    assert len(published.TABLE_1) == 60
    assert len(published.TABLE_2) == 12
    assert published.TABLE_1["serial", "rep,ce,pred", 30] == (0.806, 0.405)


def test_a_methods_gain_is_over_its_best_control(make_result: Make) -> None:
    results = [
        make_result(schedule="scratch", k=3, knows=0.5),
        make_result(schedule="scratch", k=3, train_selector="random", knows=1.5),
        make_result("schedule.targets=shuffled", schedule="serial", k=3, knows=0.7),
        make_result(schedule="serial", k=3, knows=2.5),
    ]
    found = table("controls", results)
    names = [words for words, _ in found.rows]
    assert ("serial rep:0.1,ce,pred", "another video's teacher") in names[: found.sections[0]]
    words, row = found.rows[-1]
    assert words == ("serial rep:0.1,ce,pred", "as it is")
    best = max(r.content["metrics"]["gap"] for r in results[:3])
    assert row[1].value == pytest.approx(results[3].content["metrics"]["gap"] - best)
    assert "frames redrawn (random)" in row[1].words


def test_the_board_of_all_methods_takes_each_gain_over_the_best_control(make_result: Make) -> None:
    results = [
        make_result(knows=knows, seed=seed, **choices)
        for seed in (0, 1)
        for knows, choices in (
            (1.0, {"schedule": "scratch", "loss": "ce"}),
            (3.0, {"schedule": "scratch", "loss": "ce", "train_selector": "random"}),
            (2.0, {"schedule": "serial", "loss": "rep,ce"}),
        )
    ]
    runs = stored(results)
    found = made("zoo", runs)
    assert [names[0] for names, _ in found.rows] == ["control", "control", "loss"]
    (_, best), (_, worst), (_, method) = found.rows
    assert best[0].value > method[0].value > worst[0].value
    assert method[1].value == pytest.approx(method[0].value - best[0].value, abs=1e-9)
    assert best[1].value is None
    # Were it an error, the other control would be the best, and more of it no gain.
    runs.errors = frozenset({"gap"})
    turned = made("zoo", runs)
    assert [row[0].value for _, row in turned.rows] == [
        worst[0].value,
        best[0].value,
        method[0].value,
    ]
    assert turned.rows[2][1][1].value == pytest.approx(worst[0].value - method[0].value, abs=1e-9)


@pytest.fixture
def tuned_results(make_result: Make) -> list[Result]:
    return [
        make_result(schedule=schedule, seed=seed, knows=knows, tuned_arm=arm, tuned_trials=4)
        for schedule, knows, arm in (
            ("scratch", 1.0, "student alone"),
            ("serial", 2.0, "taught"),
            ("mutual", 0.6, "peers"),
        )
        for seed in (0, 1)
    ]


def test_every_arm_of_a_tuning_has_its_gain_over_the_student_alone(
    tuned_results: list[Result], make_result: Make
) -> None:
    nameless = make_result(schedule="scratch", selector="first", knows=9.0)
    found = table("tuned-arms", [*tuned_results, nameless])
    assert [names for names, _ in found.rows] == [("taught",), ("student alone",), ("peers",)]
    for (_, cells), results in zip(
        found.rows, (tuned_results[2:4], tuned_results[:2], tuned_results[4:]), strict=True
    ):
        mean = np.mean([result.content["metrics"]["gap"] for result in results])
        assert cells[0].value == pytest.approx(mean)
        assert cells[4].value == 4
    (_, taught), (_, alone), _ = found.rows
    assert taught[1].value == pytest.approx(taught[0].value - alone[0].value)
    assert taught[2].value <= taught[1].value <= taught[3].value
    assert alone[1].value is None


def test_of_arms_that_are_judged_by_an_error_the_lower_gains(tuned_results: list[Result]) -> None:
    runs = stored(tuned_results)
    runs.errors = frozenset({"gap"})
    found = made("tuned-arms", runs)
    assert [names for names, _ in found.rows] == [("peers",), ("student alone",), ("taught",)]
    assert found.rows[0][1][1].value > 0


def test_gains_are_over_an_arm_that_there_is(tuned_results: list[Result]) -> None:
    with pytest.raises(ConfigError, match="'student alone', 'taught', 'peers'"):
        made("tuned-arms", stored(tuned_results), compared=Compared(over="nobody"))
    over = made("tuned-arms", stored(tuned_results), compared=Compared(over="taught"))
    assert over.rows[0][1][1].value is None


def test_runs_that_no_tuning_chose_have_no_arms(main_results: list[Result]) -> None:
    for name in ("tuned-arms", "tuned-gains"):
        with pytest.raises(ConfigError, match="no run that a tuning chose"):
            made(name, stored(main_results))


def test_the_figure_of_gains_draws_a_line_for_every_interval(tuned_results: list[Result]) -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    figure = figure_of("tuned-gains", tuned_results, plt)
    (axis,) = figure.axes
    rows = [cells for _, cells in table("tuned-arms", tuned_results).rows][::-1]
    dots = [line for line in axis.lines[1:] if len(line.get_xdata()) == 1]
    spans = [line.get_xdata() for line in axis.lines[1:] if len(line.get_xdata()) == 2]
    gains = [cells[1].value for cells in rows]
    assert [float(dot.get_xdata()[0]) for dot in dots] == pytest.approx([g or 0.0 for g in gains])
    assert [list(span) for span in spans] == [
        pytest.approx([cells[2].value, cells[3].value]) for cells in rows if cells[1].value
    ]
    plt.close(figure)


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


@pytest.mark.parametrize("subject", FIGURES)
def test_figures_are_drawn_twice_alike(
    main_results: list[Result], tmp_path: Path, subject: str
) -> None:
    pytest.importorskip("matplotlib")
    paths = [tmp_path / name for name in ("a.png", "b.png", "a.svg", "b.svg")]
    for first in (0, 1):
        save(made(subject, stored(main_results)), paths[first::2], 2)
    first, second, third, fourth = (path.read_bytes() for path in paths)
    assert (first, third) == (second, fourth)


def test_without_matplotlib_a_figure_says_what_to_install(
    main_results: list[Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=re.escape("distillbench[plot]")):
        save(made("pareto", stored(main_results)), [], 2)


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


@pytest.mark.parametrize("name", ["table1", "table2", "table3", "table4", "controls"])
def test_the_stored_tables_say_how_many_seeds_their_cells_have(name: str) -> None:
    stored = REPOSITORY / "benchmarks" / "results" / "digits"
    titles = {"controls": "Is it the teacher?"} | {f"table{n}": f"Table {n}:" for n in (1, 2, 3, 4)}
    (section,) = [
        section
        for section in re.split(
            r"^(?=\*\*)", (stored / "tables.md").read_text(encoding="utf-8"), flags=re.MULTILINE
        )
        if section.startswith(f"**{titles[name]}")
    ]
    assert f"\n{counted(stored / f'{name}.csv')}\n" in section


def test_a_report_without_its_runs_names_an_installed_sweep_file_that_trains_them(
    make_result: Make,
) -> None:
    runs = stored([make_result(schedule="scratch", selector="first")])
    teacher = stored([make_result(schedule="teacher")])
    named = []
    for make in (
        lambda: made("table2", runs),
        lambda: made("table3", runs),
        lambda: made("controls", runs),
        lambda: made("figure2", runs),
        lambda: made("figure3", runs),
        lambda: made("budget", teacher),
    ):
        with pytest.raises(ConfigError) as told:
            make()
        found = re.search(r"distillbench sweep (\w+) trains", str(told.value))
        assert found is not None, told.value
        named.append(found[1])
        assert installed().sweep_file(found[1]).is_file()
    assert named == ["table2", "table3", "controls", "figure2", "figure3", "table1"]


@pytest.fixture
def plt() -> Any:
    mpl = pytest.importorskip("matplotlib")
    mpl.use("Agg")
    return pytest.importorskip("matplotlib.pyplot")


def test_every_point_of_pareto_lies_at_a_stored_cost_and_the_front_passes_through_points(
    main_results: list[Result], plt: Any
) -> None:
    rows = stored(main_results).rows
    figure = figure_of("pareto", main_results, plt)
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    front = lines.pop("Pareto front")
    means = {
        (float(of["macs"].iloc[0]), float(of["gap"].mean()))
        for _, of in rows.groupby(["method", "k"])
    }
    drawn = {(float(x), float(y)) for line in lines.values() for x, y in line.get_xydata()}
    assert {x for x, _ in drawn} == {float(macs) for macs in rows["macs"]}
    assert [y for _, y in sorted(drawn)] == pytest.approx([y for _, y in sorted(means)])
    vertices = [(float(x), float(y)) for x, y in front.get_xydata()]
    assert vertices
    assert set(vertices) <= drawn
    assert all(any(x >= a and y <= b for a, b in vertices) for x, y in drawn if x >= vertices[0][0])
    whiskers = [s for each in figure.axes[0].collections for s in each.get_segments()]
    assert {float(x) for segment in whiskers for x, _ in segment} <= {x for x, _ in drawn}
    plt.close(figure)


def test_pareto_connects_a_methods_points_and_no_others(
    main_results: list[Result], plt: Any
) -> None:
    figure = figure_of("pareto", main_results, plt)
    lines = {str(line.get_label()): line for line in figure.axes[0].get_lines()}
    frames = {title: [float(x) / 1000 for x in line.get_xdata()] for title, line in lines.items()}
    del frames["Pareto front"]
    assert frames == {
        "scratch uniform ce": [3, 6],
        "serial uniform rep,ce,pred": [3, 6],
        "teacher all ce": [12],
    }
    assert all(0 < (lines[title].get_alpha() or 1) < 1 for title in frames)
    plt.close(figure)


def test_a_students_later_phases_are_marked_and_panels_share_their_axis(
    make_result: Make, plt: Any
) -> None:
    results = [
        make_result(schedule=s, loss=loss)
        for s in ("serial", "parallel")
        for loss in ("rep", "rep,ce")
    ]
    figure = figure_of("figure2", results, plt)
    (first, second, third) = figure.axes
    assert first.get_xlim() == second.get_xlim() == third.get_xlim()
    phases = [p for p in results[0].content["setup"]["phases"] if "student" in p["learners"]]
    assert [text.get_text() for text in first.texts] == [phases[1]["name"]]
    assert phases[0]["epochs"] + 0.5 in [float(line.get_xdata()[0]) for line in first.get_lines()]
    assert not [*second.texts, *third.texts]
    plt.close(figure)


@pytest.mark.parametrize(("columns", "inches"), [(1, 3.4), (2, 7.0)])
@pytest.mark.parametrize("subject", FIGURES)
def test_a_figure_is_as_wide_as_the_text_columns_that_it_spans(
    main_results: list[Result], tmp_path: Path, plt: Any, subject: str, columns: int, inches: float
) -> None:
    png, svg = (tmp_path / f"x.{kind}" for kind in ("png", "svg"))
    save(made(subject, stored(main_results)), [png, svg], columns)
    width = int.from_bytes(png.read_bytes()[16:20], "big")
    assert width == round(inches * 220)
    found = re.search(r'<svg [^>]*width="([\d.]+)pt"', svg.read_text(encoding="utf-8"))
    assert found is not None
    assert float(found[1]) == pytest.approx(72 * inches)
    sizes = [
        float(size)
        for size in re.findall(r"font: (?:\S+ )?([\d.]+)px", svg.read_text(encoding="utf-8"))
    ]
    assert all(size >= 6 for size in sizes)


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("subject", FIGURES)
def test_no_words_of_a_figure_lie_on_others_or_beyond_its_edge(
    main_results: list[Result], make_result: Make, plt: Any, subject: str, columns: int
) -> None:
    more = [
        make_result(schedule=s, loss=loss, k=6)
        for s in ("serial", "parallel")
        for loss in ("rep", "rep,ce")
    ]
    figure = figure_of(subject, [*main_results, *more], plt, columns)
    with plt.rc_context(STYLE):
        figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [
        (text.get_text(), text.get_window_extent(renderer).shrunk(0.9, 0.8))
        for text in words_of(figure)
    ]
    edge = figure.bbox.padded(1)
    for place, (said, box) in enumerate(boxes):
        assert box.x0 >= edge.x0, said
        assert box.x1 <= edge.x1, said
        assert box.y0 >= edge.y0, said
        assert box.y1 <= edge.y1, said
        assert not [other for other, its in boxes[:place] if box.overlaps(its)], said
    plt.close(figure)


def words_of(figure: Any) -> list[Any]:
    """Lists the words that a figure shows: ticks beyond the ends of an axis are not shown."""
    found = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        found += [axes._left_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            found += [
                tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high
            ]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def test_learning_curves_have_all_networks_of_every_method_at_one_k(
    main_results: list[Result], plt: Any
) -> None:
    figure = figure_of("learning-curves", main_results, plt)
    (axes,) = figure.axes
    assert "k = 6" in axes._left_title.get_text()
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == ["serial uniform rep,ce,pred", "scratch uniform ce", "its teacher"]
    drawn = [line for line in axes.get_lines() if len(line.get_xdata())]
    assert len(drawn) == 3  # two students and the teacher of one
    phases = main_results[4].content["setup"]["phases"]
    assert max(len(line.get_xdata()) for line in drawn) == max(phase["epochs"] for phase in phases)
    plt.close(figure)
    with pytest.raises(ConfigError, match=r"no run has k=4; there are: 3, 6"):
        made("learning-curves", stored(main_results), k=4)


@pytest.mark.parametrize("subject", ["pareto", "budget", "learning-curves"])
def test_a_method_looks_the_same_in_every_figure_of_any_part_of_the_results(
    main_results: list[Result], make_result: Make, plt: Any, subject: str
) -> None:
    results = [
        *main_results,
        *(make_result(schedule="parallel", loss=x, k=6) for x in ("rep", "rep,ce")),
    ]
    everything = looks_in(figure_of("pareto", results, plt), plt)
    assert len(set(everything.values())) == len(everything)
    for condition in ("schedule=serial", "schedule=scratch|parallel", "k=6"):
        with plt.rc_context(STYLE):
            part = looks_in(made(subject, stored(results, [condition])).draw(plt, 2), plt)
        named = {name: look for name, look in part.items() if name in everything}
        assert named
        assert named == {name: everything[name] for name in named}


def looks_in(figure: Any, plt: Any) -> dict[str, tuple[Any, ...]]:
    plt.close(figure)
    return {
        str(line.get_label()).partition(":")[0]: (
            line.get_color(),
            line.get_marker(),
            line.get_linestyle(),
        )
        for line in figure.axes[0].get_lines()
    }


def test_methods_that_are_too_many_are_grey_and_none_is_left_out(
    main_results: list[Result], plt: Any
) -> None:
    figure = figure_of("pareto", main_results, plt, most=1)
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == ["teacher all ce", "other methods", "Pareto front"]
    assert len(figure.axes[0].get_lines()) == 4
    plt.close(figure)
    with pytest.raises(ConfigError, match="most=-1"):
        made("pareto", stored(main_results), most=-1)


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
