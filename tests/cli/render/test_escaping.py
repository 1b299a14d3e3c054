"""Names from data, files, plugins and results are text: never markup, escape sequences, formulas or commands."""

from __future__ import annotations

import csv
import io
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillbench.cli.render import escaping
from distillbench.cli.render.terminal import TextConsole, console, echo, styled

HOSTILE = "[/x][red]a\x1b[31mb\x07\x9b2Jc\u202ed\ud800 :smile: \r\n e"
COMMANDS = Path(__file__).resolve().parents[3] / "distillbench" / "cli"
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


@given(st.text(st.characters(codec=None)) | st.text("\x1b[]/xm\n\\{}=|", min_size=1))
def test_no_control_character_is_printable(text: str) -> None:
    assert not CONTROL.search(escaping.printable(text))
    assert "\n" not in escaping.one_line(text)
    assert escaping.printable(text).encode() is not None


@given(st.text(st.characters(codec=None)))
def test_what_is_printable_stays_as_it_is(text: str) -> None:
    shown = escaping.printable(text)
    assert escaping.printable(shown) == shown


@given(st.text(st.characters(codec=None)) | st.text("\x1b[]/xm\n\\{}=|", min_size=1))
def test_no_text_is_markup_to_a_console(text: str) -> None:
    out = TextConsole(width=500)
    with out.capture() as caught:
        out.print(styled("[bold]{}[/]", text), text, soft_wrap=True)
    shown = caught.get()
    assert not CONTROL.search(shown)
    assert escaping.printable(text).split() == shown.split()[: len(shown.split()) // 2]


def test_what_is_filled_in_has_the_style_of_its_place() -> None:
    drawn = styled("[bold]{}[/] and {} [red]x{}y[/]", "one", "[two]", "")
    assert drawn.plain == "one and [two] xy"
    assert [(drawn.plain[s.start : s.end], s.style) for s in drawn.spans] == [
        ("one", "bold"),
        ("xy", "red"),
    ]


def test_every_console_takes_strings_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(HOSTILE)
    console(stderr=True).print(HOSTILE)
    echo(HOSTILE)
    echo(HOSTILE, err=True)
    for caught in capsys.readouterr():
        assert caught.count("[/x][red]a[31mb2Jcd\ufffd :smile:") == 2
        assert not CONTROL.search(caught)


def test_cells_are_escaped_for_what_reads_them() -> None:
    assert escaping.markdown("a|b<script>\n&") == "a\\|b&lt;script> &amp;"
    assert escaping.latex("50%_#{x}^2~\\input $y$ & z") == (
        r"50\%\_\#\{x\}\textasciicircum{}2\textasciitilde{}\textbackslash{}input \$y\$ \& z"
    )
    assert [
        escaping.spreadsheet(cell) for cell in ("=1+1", "@SUM(1)", "+a", "-b", "c", -1.5, None)
    ] == [
        "'=1+1",
        "'@SUM(1)",
        "'+a",
        "'-b",
        "c",
        -1.5,
        None,
    ]


@given(st.text(st.characters(codec=None)))
def test_no_cell_of_a_spreadsheet_is_a_formula(text: str) -> None:
    out = io.StringIO()
    csv.writer(out).writerow([escaping.spreadsheet(text)])
    read = next(csv.reader(io.StringIO(out.getvalue())))
    assert not re.match(r"[=+\-@\t\r]", read[0] if read else "")


def test_commands_print_through_the_terminal_module_alone() -> None:
    """Whatever is printed in another way would not be escaped."""
    past = re.compile(
        r"(?<![.\w])print\(|typer\.echo\(|(?<!Text)Console\(|sys\.std(out|err)\.write"
    )
    found = [
        f"{path.name}: {line.strip()}"
        for path in sorted(COMMANDS.glob("*.py"))
        if path.name != "terminal.py"
        for line in path.read_text().splitlines()
        if past.search(line)
    ]
    without_rich = ("__version__", "_FIRST_STEPS")  # printed without importing rich
    assert [line for line in found if not any(words in line for words in without_rich)] == []


def test_an_error_names_what_was_typed_as_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from distillbench.cli import main

    typed = "[/x]\x1b[31m"
    for arguments in (
        ["run", "--selector", typed, "--plan"],
        ["run", f"--{typed}"],
        ["run", "--set", f"student.{typed}=1", "--plan"],
        ["leaderboard", f"/nowhere/{typed}"],
        ["report", typed],
        [typed],
    ):
        monkeypatch.setattr(sys, "argv", ["distillbench", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        err = capsys.readouterr().err
        assert stopped.value.code == 2
        assert "[/x][31m" in err or "[/x]\\x1b[31m" in err
        assert "\x1b" not in err
