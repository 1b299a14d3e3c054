"""Writes the table of a report: rich, markdown, LaTeX, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import groupby

from rich.measure import Measurement
from rich.table import Table as RichTable
from tabulate import tabulate

from distillbench.cli.render.escaping import latex, markdown, one_line, spreadsheet
from distillbench.cli.render.terminal import TextConsole
from distillbench.interfaces import Cell, Table

_PLUS_MINUS = " ± "
_STILL_IMPROVING = "*"
_UNLIMITED_WIDTH = 100_000


def render(table: Table, form: str, with_published: bool) -> str:
    """Writes a table in one of the formats rich, markdown, latex, csv.

    with_published: whether published numbers are shown beside the measured ones. CSV always holds
        both.
    """
    if form == "csv":
        return _csv(table)
    writers = {"rich": _rich, "markdown": _markdown, "latex": _latex}
    return writers[form](table, with_published)


def text(cell: Cell, with_published: bool) -> str:
    """Writes one cell: `0.715 ± 0.004`, and behind it `(.715)` if a number is published."""
    if cell.words:
        return cell.words
    published = cell.published if with_published else None
    if cell.value is None:
        return "" if published is None else f"- ({_published(published)})"
    written = f"{cell.value:.{cell.digits}f}"
    if cell.spread is not None:
        written += f"{_PLUS_MINUS}{cell.spread:.{cell.digits}f}"
    if cell.improving:
        written += _STILL_IMPROVING
    if cell.unit:
        written += f" {cell.unit}"
    return written if published is None else f"{written} ({_published(published)})"


def _published(value: float) -> str:
    """Writes a number as papers do: `.715` below 1."""
    return f"{value:.3f}".removeprefix("0") if value < 1 else f"{value:.2f}"


def _rich(table: Table, with_published: bool) -> str:
    drawn = RichTable(title=table.title, title_justify="left", header_style="bold")
    for head in table.heads:
        drawn.add_column(head, no_wrap=True)
    for upper, lower in table.columns:
        drawn.add_column(f"{upper}\n{lower}", justify="right", no_wrap=True)
    for number, (words, row) in enumerate(table.rows):
        if number in table.sections:
            drawn.add_section()
        drawn.add_row(*words, *(text(cell, with_published) for cell in row))
    # The text may go to a file, so the width is that of the table and not that of the terminal.
    page = TextConsole(width=_width(drawn), plain=True)
    with page.capture() as captured:
        page.print(drawn)
        for note in _all_notes(table, with_published):
            page.print(note)
    return captured.get()


def _width(drawn: RichTable) -> int:
    """Returns the width at which no column of a table is cut."""
    console = TextConsole(width=_UNLIMITED_WIDTH)  # a plain Console would read cells as markup
    return Measurement.get(console, console.options, drawn).maximum


def _markdown(table: Table, with_published: bool) -> str:
    columns = [f"{upper} {lower}".strip() for upper, lower in table.columns]
    heads = [markdown(head) for head in (*table.heads, *columns)]
    rows = []
    for words, row in table.rows:
        written = [*words, *(text(cell, with_published) for cell in row)]
        rows.append([markdown(each) for each in written])
    drawn = tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)
    notes = "".join(f"\n{markdown(note)}\n" for note in _all_notes(table, with_published))
    return f"**{markdown(table.title)}**\n\n{drawn}\n{notes}"


def _latex(table: Table, with_published: bool) -> str:
    # Not by tabulate or pandas: the one has no spanning headers, the other no rules between
    # sections and no escaping of the caption.
    sides = "l" * len(table.heads) + "r" * len(table.columns)
    lower_heads = [*table.heads, *(lower for _, lower in table.columns)]
    lines = [
        r"\begin{table}",
        rf"\caption{{{latex(table.title)}}}",
        rf"\begin{{tabular}}{{{sides}}}",
        r"\toprule",
        _latex_row([" "] * len(table.heads) + _spanning_heads(table)),
        _latex_row([latex(head) for head in lower_heads]),
        r"\midrule",
    ]
    for number, (words, row) in enumerate(table.rows):
        if number in table.sections:
            lines.append(r"\midrule")
        numbers = [latex(text(cell, with_published)).replace("±", r"$\pm$") for cell in row]
        lines.append(_latex_row([latex(word) for word in words] + numbers))
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    lines += [f"% {one_line(note)}" for note in _all_notes(table, with_published)]
    return "\n".join(lines) + "\n"


def _latex_row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _spanning_heads(table: Table) -> list[str]:
    """Writes the upper line of the heading: equal titles side by side share one cell."""
    heads = []
    for title, columns in groupby(upper for upper, _ in table.columns):
        count = len(list(columns))
        heads.append(rf"\multicolumn{{{count}}}{{c}}{{{latex(title)}}}")
    return heads


_CSV_COLUMNS = ("column", "metric", "mean", "sd", "seeds", "unit", "paper", "said", "improving")


def _csv(table: Table) -> str:
    """Writes one line per cell, with everything that is known about it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*(spreadsheet(head) for head in table.heads), *_CSV_COLUMNS])
    for line in _csv_lines(table):
        writer.writerow([spreadsheet(each) for each in line])
    return out.getvalue()


def _csv_lines(table: Table) -> Iterator[list[object]]:
    for words, row in table.rows:
        for (upper, lower), cell in zip(table.columns, row, strict=True):
            if cell.value is None and cell.published is None and not cell.words:
                continue
            numbers = [cell.value, cell.spread, cell.seeds]
            others = [cell.unit, cell.published, cell.words, cell.improving]
            yield [*words, upper, lower, *numbers, *others]


def _all_notes(table: Table, with_published: bool) -> list[str]:
    notes = [*table.notes]
    if any(cell.improving for _, row in table.rows for cell in row):
        notes.append(
            f"{_STILL_IMPROVING} some of its runs were still improving when training ended: "
            "train them longer"
        )
    if with_published and table.published:
        notes.append(f"in brackets: {table.published}")
    return notes
