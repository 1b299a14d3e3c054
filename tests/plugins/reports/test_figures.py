"""Figures: what they draw, and how they look."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from reporting import FIGURES, Make, figure_of, made, stored

from distillbench.errors import ConfigError
from distillbench.reports import STYLE
from distillbench.reports.figure import save
from distillbench.results.store import Result


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
    everything = looks_in(figure_of("pareto", results, plt))
    assert len(set(everything.values())) == len(everything)
    for condition in ("schedule=serial", "schedule=scratch|parallel", "k=6"):
        with plt.rc_context(STYLE):
            part = looks_in(made(subject, stored(results, [condition])).draw(plt, 2))
        named = {name: look for name, look in part.items() if name in everything}
        assert named
        assert named == {name: everything[name] for name in named}


def looks_in(figure: Any) -> dict[str, tuple[Any, ...]]:
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
    with pytest.raises(ConfigError, match="most=-1"):
        made("pareto", stored(main_results), most=-1)
