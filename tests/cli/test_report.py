"""`distillbench report`, as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import pytest

from distillbench.results.store import Result

Command = Callable[..., tuple[int, str, str]]
Make = Callable[..., Result]


def test_a_figure_goes_to_a_folder_of_figures_of_the_requested_width(
    command: Command, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert command("run", *tiny, "--schedule", "scratch")[0] == 0
    widths = []
    for arguments in ([], ["--columns", "1"], ["--columns", "2"]):
        code, out, err = command("report", "pareto", *arguments)
        assert code == 0, err
        assert out.split() == ["figures/pareto-digits.png", "figures/pareto-digits.svg"]
        widths.append(int.from_bytes(Path("figures/pareto-digits.png").read_bytes()[16:20], "big"))
    assert widths[0] == widths[2] > 2 * widths[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures", "results"]
    written = command("report", "pareto", "--out", "elsewhere")[1]
    assert written.split()[0] == "elsewhere/pareto-digits.png"
    assert command("report", "pareto", "--columns", "3")[0] == 2


def test_without_a_name_every_report_is_listed_with_its_first_line(command: Command) -> None:
    code, out, err = command("report")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert any(line.startswith("table1 ") and "Table 1" in line for line in lines)
    assert any(line.startswith("learning-curves ") for line in lines)


def test_an_unknown_report_is_refused_with_the_nearest(command: Command) -> None:
    code, _, err = command("report", "tabel1")
    assert code == 2
    assert "no report is called 'tabel1', did you mean 'table1'?; there are: " in err


@pytest.mark.parametrize(
    ("assignment", "reason"),
    [
        (
            "cost=time",
            "report pareto: knob 'cost' takes macs | latency | frames | bytes | parameters",
        ),
        ("coast=macs", "report pareto has no knob 'coast', did you mean 'cost'?"),
        ("cost", "--set takes KNOB=VALUE of the report; found 'cost'"),
        ("metric=gab", "no metric is called 'gab'; there are: gap, map_at_20, "),
    ],
)
def test_a_knob_that_cannot_be_is_refused(
    command: Command, make_result: Make, assignment: str, reason: str
) -> None:
    folder = make_result().path.parent
    code, _, err = command("report", "pareto", "--results", folder, "--set", assignment)
    assert code == 2
    assert reason in " ".join(err.split())


def test_a_report_whose_knobs_are_grouped_is_made(command: Command, make_result: Make) -> None:
    """Knobs of one kind may be a dataclass, in reports as in other components."""
    for schedule, arm in (("scratch", "student alone"), ("serial", "taught")):
        made = make_result(schedule=schedule, tuned_arm=arm)
    code, out, err = command(
        *("report", "tuned-arms", "--results", made.path.parent, "--format", "markdown"),
        *("--set", "over=taught", "--set", "resamples=100"),
    )
    assert code == 0, err
    assert "gain over 'taught'" in out + err
    code, _, err = command("report", "tuned-arms", "--results", made.path.parent, "--set", "over=x")
    assert code == 2
    assert "no arm is called 'x'; choose `over` among 'student alone', 'taught'" in err


@pytest.mark.parametrize("cost", ["macs", "latency", "frames", "bytes", "parameters"])
def test_quality_is_drawn_against_every_cost(
    command: Command, make_result: Make, cost: str, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    for k in (3, 6):
        folder = make_result(schedule="scratch", k=k).path.parent
    arguments = ["--set", f"cost={cost}", "--results", folder, "--out", tmp_path]
    code, _, err = command("report", "pareto", *arguments)
    assert code == 0, err


def test_the_name_of_the_data_leads_to_no_other_folder(
    command: Command, make_result: Make, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    path = make_result(schedule="scratch").path
    content = json.loads(path.read_text())
    content["setup"]["data"]["name"] = "../../$x_{"
    path.write_text(json.dumps(content))
    out = tmp_path / "a" / "b" / "figures"
    code, printed, err = command("report", "pareto", "--results", path.parent, "--out", out)
    assert code == 0, err
    assert sorted(each.name for each in out.iterdir()) == [
        "pareto-.._..__x__.png",
        "pareto-.._..__x__.svg",
    ]
    assert len(printed.split()) == 2


MADE = {
    "text": ("return 'a table'", "made 'a table'; it must be a Table or a Figure"),
    "a row that is too short": (
        "return Table('t', ('a',), (('', 'b'),), ((('a',), ()),))",
        "made a table whose row 0 has 0 cells, and there are 1 columns",
    ),
    "not a number": (
        "return Table('t', (), (('', 'b'),), (((), (Cell(float('nan')),)),))",
        "made a table whose row 0 has a cell whose value is nan; it must be finite, or None",
    ),
    "not a cell": (
        "return Table('t', (), (('', 'b'),), (((), (0.5,)),))",
        "has 0.5 for a cell; it must be a distillbench.interfaces.Cell",
    ),
    "an error": ("raise Odd", "failed: Odd"),
    "an exit": ("raise SystemExit(0)", "failed: SystemExit: 0"),
    "a figure that is not drawn": ("return Figure(7)", "made a figure whose draw is 7"),
    "a figure that fails": (
        "return Figure(lambda plt, columns: 1 / 0)",
        "failed: ZeroDivisionError: division by zero",
    ),
    "a figure that is not one": (
        "return Figure(lambda plt, columns: None)",
        "failed: AttributeError",
    ),
}


@pytest.mark.parametrize("what", MADE)
def test_what_a_third_partys_report_makes_is_checked_and_its_distribution_named(
    command: Command,
    make_result: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    body, reason = MADE[what]
    if "figure that" in what:
        pytest.importorskip("matplotlib")
    results = make_result().path.parent
    module = f"hostile_report_{abs(hash(what))}"
    text = hostile.module("report", body=f"def make(self, runs):\n        {body}")
    site = tmp_path / "site"
    site.mkdir()
    hostile.install(site, {module: text})
    monkeypatch.syspath_prepend(str(site))
    code, out, err = command("report", "strange", "--results", results, "--out", tmp_path / "out")
    message = " ".join(err.split())
    assert (code, out) == (2, "")
    assert "the report 'strange' of hostile-methods 6.6" in message
    assert reason in message


def test_the_names_of_a_third_partys_table_are_text_in_every_form(
    command: Command, make_result: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "=1+[/x]\\x1b[31m|<b>_$"
    body = f"""def make(self, runs):
        return Table({name!r}, ({name!r},), (({name!r}, {name!r}),),
            ((({name!r},), (Cell(words={name!r}),)),), notes=({name!r},))"""
    results = make_result().path.parent
    site = tmp_path / "site"
    site.mkdir()
    hostile.install(site, {"hostile_report_names": hostile.module("report", body=body)})
    monkeypatch.syspath_prepend(str(site))
    shown: dict[str, Any] = {}
    for form in ("rich", "markdown", "latex", "csv"):
        code, out, err = command("report", "strange", "--results", results, "--format", form)
        assert code == 0, err
        assert "\x1b" not in out
        shown[form] = out
    assert all(
        cell.startswith(("'=", "column", "metric", "mean")) for cell in shown["csv"].split(",")[:4]
    )
    assert "<b>" not in shown["markdown"]
