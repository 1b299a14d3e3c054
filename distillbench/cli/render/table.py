"""Prints the leaderboard.

The formats for people (table, markdown) show the columns that people compare. The formats for
programs (csv, json) hold every column.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text
from tabulate import tabulate

from distillbench.analysis.leaderboard import column_of
from distillbench.analysis.metric_columns import MetricColumn, columns_in, ranking_column
from distillbench.analysis.rows import INTERNAL
from distillbench.cli.render.escaping import markdown, one_line, printable, spreadsheet
from distillbench.cli.render.terminal import TextConsole, echo
from distillbench.reports.amounts import DOUBTFUL, count, duration, latency
from distillbench.reports.marks import LIKE_BEST, MARKS, ONE_SEED, mark
from distillbench.reports.rows import records as records_of

_HIDDEN = [*INTERNAL, "metrics"]
UNLIMITED_WIDTH = 1000
_SHORTEST_KEY = 6
_INTERVAL = " ± 95 %"

Record = Mapping[str, Any]
"""A row of the leaderboard, by column."""

Notes = Sequence[tuple[str, str]]
"""Lines below a table: the title of the column that each explains, and its text."""


@dataclass(frozen=True)
class Column:
    """One column of a table for people.

    rank: if the table is too wide, columns of the highest rank are left out first; 0 never is.
    is_text: whether cells are aligned to the left.
    """

    title: str
    cells: tuple[str, ...]
    rank: int
    is_text: bool = False

    @cached_property
    def width(self) -> int:
        """How many places on the screen its longest cell takes, or its title."""
        return max(map(cell_len, (self.title, *self.cells)))


def show(
    rows: pd.DataFrame,
    form: str,
    group: str | None = None,
    width: int | None = None,
    names: Sequence[str] = (),
) -> None:
    """Prints rows, best first, in one of the formats table, markdown, csv, json.

    rows: the rows in order; with groups, the rows of a group follow each other.
    group: the column whose values are the groups, if any.
    width: the width of the table in characters; by default that of the terminal, and unlimited
        without a terminal.
    names: of the columns to print, by title or as CSV has them; by default all.

    Raises `ConfigError` for a column that is not there.
    """
    if form in ("csv", "json"):
        kept = [column_of(name, rows, "--columns") for name in names]
        rows = rows[list(dict.fromkeys(kept))] if kept else rows
        echo(as_csv(rows) if form == "csv" else _json(rows), end="" if form == "csv" else "\n")
        return
    if form == "table":
        short = dict(zip(rows["run"], short_keys(list(rows["run"])), strict=True))
        rows = rows.assign(run=rows["run"].map(short))
    columns, notes = columns_of(rows, group)
    if names:
        columns = [_asked_for(name, rows, columns) for name in names]
    if form == "markdown":
        echo(_markdown(columns, notes))
    else:
        _print_table(columns, notes, group, width)


def _asked_for(name: str, rows: pd.DataFrame, columns: Sequence[Column]) -> Column:
    """Finds a column by its title, or makes it of what the rows have by that name."""
    by_title = {column.title.removesuffix(_INTERVAL).lower(): column for column in columns}
    titles = {column.name: printable(column.title) for column in columns_in(rows)}
    found = by_title.get(name.lower())
    if found is None:
        known = column_of(name, rows, "--columns")
        title = titles.get(known, known)
        found = by_title.get(title.lower()) or _column(title, map(_plainly, rows[known]), 0)
    return replace(found, rank=0)


def _plainly(cell: object) -> str:
    """Writes a cell whose column has no form of its own."""
    plain = _plain(cell)
    if plain is None or plain == "":
        return "-"
    return f"{plain:.6g}" if isinstance(plain, float) else str(plain)


def as_markdown(rows: pd.DataFrame) -> str:
    """Writes rows as a table of Markdown, with its notes below."""
    return _markdown(*columns_of(rows))


def as_csv(rows: pd.DataFrame) -> str:
    """Writes every column that is for readers; no cell is a formula of a spreadsheet."""
    shown = rows.drop(columns=_HIDDEN, errors="ignore")
    if "warnings" in shown:
        shown = shown.assign(warnings=shown["warnings"].str.replace("\n", "; "))
    text: str = shown.rename(columns=spreadsheet).map(spreadsheet).to_csv(index=False)
    return text


def _json(rows: pd.DataFrame) -> str:
    # Not DataFrame.to_json, which cuts numbers to 15 digits.
    records = records_of(rows.drop(columns=_HIDDEN, errors="ignore"))
    plain = [{name: _plain(value) for name, value in row.items()} for row in records]
    return json.dumps(plain, indent=1)


def _plain(value: object) -> object:
    """Returns a cell as a value of JSON; a missing value is None."""
    plain = value.item() if isinstance(value, np.generic) else value
    is_missing = plain is pd.NA or (isinstance(plain, float) and math.isnan(plain))
    return None if is_missing else plain


def short_keys(keys: Sequence[str]) -> list[str]:
    """Cuts keys to the shortest common length at which commands can tell them apart.

    A key that is the beginning of another stays whole, and so does the other: commands find the
    shorter one only by its whole text.
    """
    whole: set[str] = set()
    first = ""
    for key in sorted(set(keys)):  # a key is followed directly by all keys that begin with it
        if first and key.startswith(first):
            whole |= {first, key}
        else:
            first = key
    cut = set(keys) - whole
    length = _SHORTEST_KEY
    # Whole keys are counted by their beginnings too: a cut key must not be one of these.
    while len({key[:length] for key in keys}) < len(cut) + len({key[:length] for key in whole}):
        length += 1
    return [key if key in whole else key[:length] for key in keys]


def columns_of(rows: pd.DataFrame, group: str | None = None) -> tuple[list[Column], Notes]:
    """Makes the columns that people compare, with units, and the notes below the table.

    rows: the rows of the leaderboard.
    group: a column that is put first, if any.
    """
    records = records_of(rows)
    letters, warnings = _lettered(records)
    metrics = _shown_metrics(rows)
    columns = [
        _column("run", (row["run"] for row in records), 0, True),
        _column("data", (row["data"] for row in records), 2, True),
        _column("method", map(_method, records), 0, True),
        _column("frames", map(_frames, records), 2, True),
        _column("loss", (row["loss"] for row in records), 4, True),
        _column("seeds", map(_seeds, records), 7),
        *_quality_columns(records, metrics),
        _column("MACs", (_or_dash(row["macs"]) for row in records), 3),
        _column("FLOPs", (_or_dash(row["flops"]) for row in records), 12),
        _column("paper's MACs", (_or_dash(row["published_macs"]) for row in records), 13),
        _column("latency", map(latency, records), 6),
        _column("trained", (duration(row["train_seconds"]) for row in records), 10),
        _column("plugins", (row["plugins"] for row in records), 8, True),
        _column("note", letters, 1, True),
    ]
    columns = [column for column in columns if any(cell not in ("", "-") for cell in column.cells)]
    if len({row["data"] for row in records}) < 2:
        columns = [column for column in columns if column.title != "data"]
    if group is not None:
        others = [column for column in columns if column.title != group]
        columns = [_column(group, rows[group].map(str), 0, True), *others]
    return columns, [*_explanations(records, metrics), *warnings]


def _column(title: str, cells: Iterable[object], rank: int, is_text: bool = False) -> Column:
    written = tuple(printable(str(cell)).replace("\n", " ") for cell in cells)
    return Column(title, written, rank, is_text)


def _quality_columns(
    records: Sequence[Record], metrics: Sequence[MetricColumn]
) -> Iterator[Column]:
    for number, metric in enumerate(metrics):
        # The metric that ranks the rows is always shown, the second one before all others.
        rank = (0, 9)[number] if number < 2 else 11
        cells = (_quality(row, metric.name, is_first=number == 0) for row in records)
        yield _column(_title(metric), cells, rank)


def _lettered(records: Sequence[Record]) -> tuple[list[str], Notes]:
    """Gives a letter to every warning and to every reason why a row has no numbers.

    Returns the letters of each row, separated by commas, and the notes that explain them.
    """
    letters: dict[str, str] = {}
    of_rows = []
    for row in records:
        texts = row["warnings"].splitlines()
        if row["status"] != "finished":
            texts.append(f"{row['status']}: {row['reason']}")
        of_row = [letters.setdefault(text, _letter(len(letters))) for text in texts]
        of_rows.append(",".join(of_row))
    notes = [("note", f"{letter}  {one_line(text)}") for text, letter in letters.items()]
    return of_rows, notes


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else f"n{number + 1}"


def _shown_metrics(rows: pd.DataFrame) -> list[MetricColumn]:
    """Lists the metrics that judge methods on this data; the one that ranks the rows is first."""
    found = columns_in(rows)
    if not found:  # no run has a result
        return [MetricColumn("", "quality")]
    first = ranking_column(rows)
    metrics = [column for column in found if column.is_judge]
    return sorted(metrics, key=lambda column: column.name != first)


def _title(metric: MetricColumn) -> str:
    return printable(metric.title) + (_INTERVAL if metric.has_interval else "")


def _explanations(records: Sequence[Record], metrics: Sequence[MetricColumn]) -> Notes:
    """Writes the notes that explain the marks in the cells of the rows."""
    title = _title(metrics[0])
    marks = {mark(row, metric.name) for row in records for metric in metrics}
    notes = [(title, f"{sign}  {MARKS[sign]}") for sign in (LIKE_BEST, ONE_SEED) if sign in marks]
    if any(latency(row).startswith(DOUBTFUL) for row in records):
        notes.append(("latency", f"{DOUBTFUL}  {MARKS[DOUBTFUL]}"))
    return notes


def _method(row: Record) -> str:
    method = f"{row['encoder']} {row['schedule']}"
    marks = []
    if isinstance(row["preset"], str):  # NaN or None without a preset
        marks.append(row["preset"])
    exporter = row.get("exporter")
    if isinstance(exporter, str):
        marks.append(exporter)
    elif row["precision"] == "int8":
        marks.append("int8")
    return f"{method} ({', '.join(marks)})" if marks else method


def _frames(row: Record) -> str:
    selector, k = row["selector"], row["k"]
    if k == "all":
        return str(selector)
    if row["train_selector"] == selector:
        return f"{selector}-{k}"
    return f"{selector}-{k} (trained on {row['train_selector']})"


def _seeds(row: Record) -> str:
    return str(row["seeds"]) if "seeds" in row else f"seed {row['seed']}"


def _quality(row: Record, name: str, is_first: bool) -> str:
    """Writes a value, half the width of its interval, and a mark that a note explains.

    A run without a result shows its status in the column of the first metric.
    """
    value, low, high = row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high")
    if value is None or math.isnan(value):
        return str(row["status"]) if is_first and row["status"] != "finished" else "-"
    if not isinstance(low, float) or not isinstance(high, float) or math.isnan(low):
        return f"{value:.4f}"
    # A space in the place of a mark keeps the digits of a column aligned.
    return f"{value:.4f} ± {(high - low) / 2:.3f}{mark(row, name) or ' '}"


def _or_dash(value: float) -> str:
    return "-" if value is None or math.isnan(value) else count(value)


def _markdown(columns: Sequence[Column], notes: Notes) -> str:
    cells = {
        markdown(column.title): [markdown(cell) for cell in column.cells] for column in columns
    }
    sides = ["left" if column.is_text else "right" for column in columns]
    table = tabulate(
        cells, headers="keys", tablefmt="github", colalign=sides, disable_numparse=True
    )
    return "\n".join([table, *(f"\n{markdown(text)}" for _, text in notes)])


def _print_table(
    columns: Sequence[Column], notes: Notes, group: str | None, width: int | None
) -> None:
    """Prints the table, the notes on its columns, and the titles of columns that do not fit."""
    screen = TextConsole()
    available = screen.width if screen.is_terminal else UNLIMITED_WIDTH
    allowed = width or available
    shown = _fitting(columns, allowed)
    # Columns of rank 0 are shown even if they are too wide, and then break their lines.
    is_too_wide = _width(shown) > allowed
    if is_too_wide or screen.options.ascii_only or screen.legacy_windows:
        TextConsole(width=allowed).print(_rich_table(shown, group))
    else:
        _print_lines(shown, group, screen)
    titles = {column.title for column in shown}
    for title, text in notes:
        if title in titles:
            screen.print(text, style="dim", soft_wrap=True)
    left_out = ", ".join(column.title for column in columns if column not in shown)
    if left_out:
        text = f"left out for lack of width: {left_out}; --wide or --columns shows them"
        screen.print(text, style="dim", soft_wrap=True)


def _fitting(columns: Sequence[Column], allowed: int) -> list[Column]:
    """Chooses the columns that fit into a width, those of the lowest rank first."""
    shown = [column for column in columns if column.rank == 0]
    for candidate in sorted(columns, key=lambda column: column.rank):
        more = [column for column in columns if column in shown or column is candidate]
        if _width(more) <= allowed:
            shown = more
    return shown


def _width(columns: Sequence[Column]) -> int:
    """Returns the width of a table of these columns, which are two spaces apart."""
    return sum(column.width for column in columns) + 2 * (len(columns) - 1)


def _print_lines(columns: Sequence[Column], group: str | None, screen: TextConsole) -> None:
    """Prints the table that `_rich_table` makes, a line a row.

    Rich takes a millisecond for each row, to break lines that need not be broken.
    """
    titles = _line([column.title for column in columns], columns)
    screen.print(Text(titles, "bold"), soft_wrap=True)
    plain = ["─" * _width(columns)]
    for row, is_best, begins_group in _rows(columns, group):
        plain += [" " * _width(columns)] if begins_group else []
        line = _line(row, columns)
        if not is_best:
            plain.append(line)
            continue
        echo("\n".join(plain))
        screen.print(Text(line, "bold green"), soft_wrap=True)
        plain = []
    if plain:
        echo("\n".join(plain))


def _line(cells: Sequence[str], columns: Sequence[Column]) -> str:
    padded = []
    for cell, column in zip(cells, columns, strict=True):
        space = " " * (column.width - cell_len(cell))
        padded.append(cell + space if column.is_text else space + cell)
    return "  ".join(padded)


def _rows(
    columns: Sequence[Column], group: str | None
) -> Iterator[tuple[tuple[str, ...], bool, bool]]:
    """Yields each row, whether it is the best one, and whether a group other than the first begins.

    With groups, the first row of each is the best.
    """
    previous: object = None
    for number, row in enumerate(zip(*(column.cells for column in columns), strict=True)):
        is_first_of_group = group is not None and row[0] != previous
        previous = row[0]
        yield row, is_first_of_group or number == 0, is_first_of_group and number > 0


def _rich_table(columns: Sequence[Column], group: str | None) -> Table:
    """Makes a table whose lines may break; the best row, of each group if any, is highlighted."""
    table = Table(
        header_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        table.add_column(
            column.title,
            justify="left" if column.is_text else "right",
            overflow="fold",
        )
    for row, is_best, begins_group in _rows(columns, group):
        if begins_group:
            table.add_section()
        table.add_row(*row, style="bold green" if is_best else None)
    return table
