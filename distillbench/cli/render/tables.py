"""Writes a report's table: rich, markdown, LaTeX, CSV."""

from __future__ import annotations

import csv
import io

from rich.table import Table as RichTable
from tabulate import tabulate

from distillbench.cli.render.escaping import latex, markdown, one_line, spreadsheet
from distillbench.cli.render.terminal import TextConsole
from distillbench.interfaces import Cell, Table

_PLUS_MINUS = " ± "
_STILL_IMPROVING = "*"


def render(table: Table, form: str, with_published: bool) -> str:
    """Writes a table in one of the forms rich, markdown, latex, csv; with_published: the published
    digits beside ours.
    """
    writers = {"rich": _rich, "markdown": _markdown, "latex": _latex}
    return _csv(table) if form == "csv" else writers[form](table, with_published)


def text(cell: Cell, with_published: bool) -> str:
    """Writes one cell: `0.715 ± 0.004`, and `(.715)` behind it where a number is published."""
    if cell.words:
        return cell.words
    if cell.value is None:
        said = "-" if with_published and cell.published is not None else ""
    elif cell.spread is None:
        said = f"{cell.value:.{cell.digits}f}"
    else:
        said = f"{cell.value:.{cell.digits}f}{_PLUS_MINUS}{cell.spread:.{cell.digits}f}"
    unit = f" {cell.unit}" if cell.unit and said not in ("", "-") else ""
    published = (
        f" ({_published(cell.published)})" if with_published and cell.published is not None else ""
    )
    return said + (_STILL_IMPROVING if cell.improving and said else "") + unit + published


def _published(value: float) -> str:
    return f"{value:.3f}".removeprefix("0") if value < 1 else f"{value:.2f}"


def _heads(table: Table) -> list[str]:
    return [*table.heads, *(f"{upper} {lower}".strip() for upper, lower in table.columns)]


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
    page = TextConsole(width=_width(table), plain=True)
    with page.capture() as caught:
        page.print(drawn)
        for note in _all_notes(table, with_published):
            page.print(note)
    return caught.get()


def _width(table: Table) -> int:
    words = sum(
        max([len(head), *(len(row[i]) for row, _ in table.rows)])
        for i, head in enumerate(table.heads)
    )
    numbers = sum(
        max([len(upper), len(lower), *(len(text(row[i], True)) for _, row in table.rows)])
        for i, (upper, lower) in enumerate(table.columns)
    )
    return words + numbers + 3 * (len(table.heads) + len(table.columns)) + 4


def _markdown(table: Table, with_published: bool) -> str:
    rows = [
        [markdown(cell) for cell in (*words, *(text(c, with_published) for c in row))]
        for words, row in table.rows
    ]
    drawn = tabulate(
        rows, headers=list(map(markdown, _heads(table))), tablefmt="github", disable_numparse=True
    )
    notes = "".join(f"\n{markdown(note)}\n" for note in _all_notes(table, with_published))
    return f"**{markdown(table.title)}**\n\n{drawn}\n{notes}"


def _latex(table: Table, with_published: bool) -> str:
    lines = [
        r"\begin{table}",
        rf"\caption{{{latex(table.title)}}}",
        rf"\begin{{tabular}}{{{'l' * len(table.heads)}{'r' * len(table.columns)}}}",
        r"\toprule",
        " & ".join([*(" " for _ in table.heads), *_spans(table)]) + r" \\",
        " & ".join(map(latex, [*table.heads, *(lower for _, lower in table.columns)])) + r" \\",
        r"\midrule",
    ]
    for number, (words, row) in enumerate(table.rows):
        if number in table.sections:
            lines.append(r"\midrule")
        written = [
            *map(latex, words),
            *(latex(text(cell, with_published)).replace("±", r"$\pm$") for cell in row),
        ]
        lines.append(" & ".join(written) + r" \\")
    notes = [f"% {one_line(note)}" for note in _all_notes(table, with_published)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", *notes]) + "\n"


def _spans(table: Table) -> list[str]:
    groups: list[tuple[str, int]] = []
    for upper, _ in table.columns:
        if groups and groups[-1][0] == upper:
            groups[-1] = (upper, groups[-1][1] + 1)
        else:
            groups.append((upper, 1))
    return [rf"\multicolumn{{{count}}}{{c}}{{{latex(upper)}}}" for upper, count in groups]


def _csv(table: Table) -> str:
    """Writes one line a cell, with everything that is known of it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            *map(spreadsheet, table.heads),
            "column",
            "metric",
            "mean",
            "sd",
            "seeds",
            "unit",
            "paper",
            "said",
            "improving",
        ]
    )
    for words, row in table.rows:
        for (upper, lower), cell in zip(table.columns, row, strict=True):
            if cell.value is not None or cell.published is not None or cell.words:
                numbers = ("" if v is None else v for v in (cell.value, cell.spread))
                published = "" if cell.published is None else cell.published
                written = (
                    *words,
                    upper,
                    lower,
                    *numbers,
                    cell.seeds,
                    cell.unit,
                    published,
                    cell.words,
                    cell.improving,
                )
                writer.writerow([spreadsheet(each) for each in written])
    return out.getvalue()


def _all_notes(table: Table, with_published: bool) -> list[str]:
    notes = [*table.notes]
    if any(cell.improving for _, row in table.rows for cell in row):
        notes.append(
            f"{_STILL_IMPROVING} some of its runs were still improving when training ended: train them longer"
        )
    if with_published and table.published:
        notes.append(f"in brackets: {table.published}")
    return notes
