"""Writes the leaderboard: for eyes (terminal, markdown) what is compared, for programs (csv, json) everything."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.cells import cell_len
from rich.table import Table
from tabulate import tabulate

from distillbench.analysis.leaderboard import INTERNAL
from distillbench.analysis.metric_columns import MetricColumn, columns_in, ranking_column
from distillbench.cli.render.display import count, latency
from distillbench.cli.render.escaping import markdown, one_line, printable, spreadsheet
from distillbench.cli.render.terminal import TextConsole, echo

_UNSEEN = [*INTERNAL, "metrics"]
_UNBOUNDED = 1000
_SHORTEST_KEY = 6
_LIKE_BEST, _ONE_SEED = "≈", "†"
_INTERVAL = " ± 95 %"


@dataclass(frozen=True)
class Column:
    """One column for eyes. rank: the higher, the sooner it is left out where the width is short; 0 never is."""

    title: str
    cells: tuple[str, ...]
    rank: int
    is_text: bool = False


def show(rows: pd.DataFrame, form: str, group: str | None = None, width: int | None = None) -> None:
    """Prints rows, best first (in each group, if any), in one of the forms table, markdown, csv, json.

    width: columns of the table; by default the terminal's, and as many as it takes where there is no terminal.
    """
    if form == "csv":
        shown = rows.drop(columns=_UNSEEN, errors="ignore").assign(
            warnings=rows["warnings"].str.replace("\n", "; ")
        )
        shown = shown.rename(columns=spreadsheet).map(spreadsheet)
        echo(shown.to_csv(index=False), end="")
    elif form == "json":
        records = rows.drop(columns=_UNSEEN, errors="ignore").to_dict("records")
        echo(
            json.dumps(
                [{name: _json(value) for name, value in row.items()} for row in records], indent=1
            )
        )
    elif form == "markdown":
        columns, notes = columns_of(rows, group)
        echo(_markdown(columns, notes))
    else:
        short = dict(zip(rows["run"], short_keys(list(rows["run"])), strict=True))
        columns, notes = columns_of(rows.assign(run=rows["run"].map(short)), group)
        _print(columns, notes, group, width)


def _json(value: object) -> object:
    """Returns a cell as JSON has it, every digit kept; what is missing is null."""
    plain = value.item() if isinstance(value, np.generic) else value
    return None if plain is pd.NA or (isinstance(plain, float) and math.isnan(plain)) else plain


def short_keys(keys: Sequence[str]) -> list[str]:
    """Cuts keys to beginnings by which commands find them; one that begins another stays whole, as commands take it."""
    whole: set[str] = set()
    first = ""
    for key in sorted(set(keys)):  # those that a key begins come right behind it
        if first and key.startswith(first):
            whole |= {first, key}
        else:
            first = key
    cut = set(keys) - whole
    length = _SHORTEST_KEY
    while len({key[:length] for key in keys}) < len(cut) + len({key[:length] for key in whole}):
        length += 1
    return [key if key in whole else key[:length] for key in keys]


Notes = Sequence[tuple[str, str]]
"""What is said below a table: the title of the column that it explains, and the text."""


def columns_of(rows: pd.DataFrame, group: str | None = None) -> tuple[list[Column], Notes]:
    """Chooses what people compare, written with units, and the notes that belong below it."""
    records: list[dict[str, Any]] = rows.to_dict("records")  # type: ignore[assignment]
    noted, notes = _noted(records)
    judges = _judges(rows)
    first = judges[0]

    def column(title: str, cells: Iterable[object], rank: int, is_text: bool = False) -> Column:
        return Column(
            title, tuple(printable(str(cell)).replace("\n", " ") for cell in cells), rank, is_text
        )

    made = [
        column("run", (row["run"] for row in records), 0, True),
        column("data", (row["data"] for row in records), 2, True),
        column("method", map(_method, records), 0, True),
        column("frames", map(_frames, records), 2, True),
        column("loss", (row["loss"] for row in records), 4, True),
        column("seeds", map(_seeds, records), 7),
        *(
            column(
                _title(metric),
                (_quality(row, metric.name, metric is first) for row in records),
                rank,
            )
            for metric, rank in zip(judges, _ranks(len(judges)), strict=True)
        ),
        column("MACs", (_or_dash(row["macs"]) for row in records), 3),
        column("FLOPs", (_or_dash(row["flops"]) for row in records), 12),
        column("paper's MACs", (_or_dash(row["published_macs"]) for row in records), 13),
        column("latency", map(latency, records), 6),
        column("trained", (_duration(row["train_seconds"]) for row in records), 10),
        column("plugins", (row["plugins"] for row in records), 8, True),
        column("note", noted, 1, True),
    ]
    alike = {"data"} if len({row["data"] for row in records}) < 2 else set()
    kept = [
        c for c in made if c.title not in alike and any(cell not in ("", "-") for cell in c.cells)
    ]
    if group is not None:
        kept = [
            column(group, rows[group].map(str), 0, True),
            *(c for c in kept if c.title != group),
        ]
    return kept, [*_explanations(records, judges), *notes]


def _noted(records: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[tuple[str, str]]]:
    """Gives every warning, and every reason for which a row has no numbers, a letter: those of each row, and the list."""
    letters: dict[str, str] = {}
    noted = []
    for row in records:
        told = row["warnings"].splitlines()
        if row["status"] != "finished":
            told.append(f"{row['status']}: {row['reason']}")
        noted.append(",".join(letters.setdefault(text, _letter(len(letters))) for text in told))
    return noted, [("note", f"{letter}  {one_line(text)}") for text, letter in letters.items()]


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else f"n{number + 1}"


def _judges(rows: pd.DataFrame) -> list[MetricColumn]:
    """Lists the metrics that the rows' data is judged by, the one that ranks them first."""
    found = columns_in(rows)
    if not found:  # no run has a result
        return [MetricColumn("", "quality")]
    first = ranking_column(rows)
    judges = [column for column in found if column.is_judge]
    return sorted(judges, key=lambda column: column.name != first)


def _ranks(count: int) -> list[int]:
    """Says how soon each metric is left out where the width is short: the first never is."""
    return [0, 9, *(11 for _ in range(count))][:count]


def _title(metric: MetricColumn) -> str:
    return printable(metric.title) + (_INTERVAL if metric.has_interval else "")


def _explanations(
    records: Sequence[Mapping[str, Any]], judges: Sequence[MetricColumn]
) -> list[tuple[str, str]]:
    told = []
    title = _title(judges[0])
    marks = {_mark(row, metric.name) for row in records for metric in judges}
    if _LIKE_BEST in marks:
        text = (
            "may be as good as the best row: the 95 % interval of their difference includes 0 (uncorrected: the best of "
            "many rows was picked after looking)"
        )
        told.append((title, f"{_LIKE_BEST}  {text}"))
    if _ONE_SEED in marks:
        told.append(
            (
                title,
                f"{_ONE_SEED}  of these networks: one seed, so the interval says nothing of other seeds",
            )
        )
    if any(latency(row).startswith("~") for row in records):
        told.append(("latency", "~  taken while something else may have slowed the machine down"))
    return told


def _method(row: Mapping[str, Any]) -> str:
    marks = [
        mark
        for mark in (row["preset"], "int8" if row["precision"] == "int8" else None)
        if isinstance(mark, str)
    ]
    return f"{row['encoder']} {row['schedule']}" + (f" ({', '.join(marks)})" if marks else "")


def _frames(row: Mapping[str, Any]) -> str:
    if row["k"] == "all":
        return "all" if row["selector"] == "all" else str(row["selector"])
    trained = (
        "" if row["train_selector"] == row["selector"] else f" (trained on {row['train_selector']})"
    )
    return f"{row['selector']}-{row['k']}{trained}"


def _seeds(row: Mapping[str, Any]) -> str:
    return str(row["seeds"]) if "seeds" in row else f"seed {row['seed']}"


def _quality(row: Mapping[str, Any], name: str, is_first: bool) -> str:
    """Writes a value with half its interval, and a mark that the notes explain; the first metric's, why there is none."""
    value, low, high = row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high")
    if value is None or math.isnan(value):
        return str(row["status"]) if is_first and row["status"] != "finished" else "-"
    if not isinstance(low, float) or not isinstance(high, float) or math.isnan(low):
        return f"{value:.4f}"
    return f"{value:.4f} ± {(high - low) / 2:.3f}{_mark(row, name) or ' '}"


def _mark(row: Mapping[str, Any], name: str) -> str:
    """Marks an interval of one seed's network alone, and a row that is like the best; no row is both."""
    low = row.get(f"{name}_low")
    if not isinstance(low, float) or math.isnan(low):
        return ""
    if row.get("seeds", 1) == 1:
        return _ONE_SEED
    return (
        _LIKE_BEST
        if name == row.get("like_best_by") and row["like_best_uncorrected"] is True
        else ""
    )


def _or_dash(value: float) -> str:
    return "-" if value is None or math.isnan(value) else count(value)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if math.isnan(seconds):
        return "-"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _markdown(columns: Sequence[Column], notes: Notes) -> str:
    cells = {markdown(c.title): [markdown(cell) for cell in c.cells] for c in columns}
    sides = ["left" if c.is_text else "right" for c in columns]
    drawn = tabulate(
        cells, headers="keys", tablefmt="github", colalign=sides, disable_numparse=True
    )
    return "\n".join([drawn, *(f"\n{markdown(text)}" for _, text in notes)])


def _print(columns: Sequence[Column], notes: Notes, group: str | None, width: int | None) -> None:
    """Draws the table as wide as it may be; columns that are compared least are left out, and named below."""
    screen = TextConsole()
    allowed = width or (screen.width if screen.is_terminal else _UNBOUNDED)
    shown = [c for c in columns if c.rank == 0]
    for candidate in sorted(columns, key=lambda c: c.rank):
        more = [c for c in columns if c in shown or c is candidate]
        if _width(more) <= allowed:
            shown = more
    folds = _width(shown) > allowed
    TextConsole(width=allowed).print(_drawn(shown, group, folds))
    titles = {column.title for column in shown}
    for title, text in notes:
        if title in titles:
            screen.print(text, style="dim", soft_wrap=True)
    hidden = [c.title for c in columns if c not in shown]
    if hidden:
        told = (
            f"left out for want of width: {', '.join(hidden)}; --width N or --format csv shows them"
        )
        screen.print(told, style="dim", soft_wrap=True)


def _width(columns: Sequence[Column]) -> int:
    """Adds up what columns take, two spaces apart."""
    widths = [max(map(cell_len, (column.title, *column.cells))) for column in columns]
    return sum(widths) + 2 * (len(widths) - 1)


def _drawn(columns: Sequence[Column], group: str | None, folds: bool = False) -> Table:
    """Makes the table; `folds`: even what is never left out is too wide, so that words go on in the next line."""
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
            no_wrap=not folds,
            overflow="fold",
        )
    before: object = None
    for number, row in enumerate(zip(*(column.cells for column in columns), strict=True)):
        begins = group is not None and row[0] != before
        if begins and number:
            table.add_section()
        before = row[0]
        table.add_row(*row, style="bold green" if begins or number == 0 else None)
    return table
